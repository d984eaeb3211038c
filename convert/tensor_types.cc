#include "convert/tensor_types.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <tuple>

#include "convert/ggml_type.h"
#include "convert/text.h"

namespace holdfast::convert {
namespace {

using quantize::Format;

// Endings of the tensors that the converter keeps in F32 whatever is asked for (conversion/base.py
// of llama.cpp, prepare_tensors).
constexpr std::array<std::string_view, 14> kAlwaysF32 = {
    ".ffn_gate_inp.weight",      ".ffn_gate_inp_shexp.weight", "position_embd.weight",
    "token_types.weight",        ".ssm_conv1d.weight",         ".shortconv.conv.weight",
    ".time_mix_first.weight",    ".time_mix_w1.weight",        ".time_mix_w2.weight",
    ".time_mix_decay_w1.weight", ".time_mix_decay_w2.weight",  ".time_mix_lerp_fused.weight",
    ".indexer.proj.weight",      ".altup_correct_coef.weight",
};

std::uint64_t row_values(std::span<const std::uint64_t> ne) { return ne.empty() ? 1 : ne.front(); }

// The block that a name belongs to, -1 for none: what `sscanf("blk.%d.")` finds.
long block_number(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return -1;
  long number = -1;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
  return number;
}

}  // namespace

TypeChoice converter_type(std::string_view name, std::span<const std::uint64_t> ne, Format target) {
  if (ne.size() <= 1) return {Format::F32, "one-dimensional"};
  if (name.ends_with("_norm.weight")) return {Format::F32, "norm"};
  if (!name.ends_with(".weight")) return {Format::F32, "not a weight"};
  for (const std::string_view ending : kAlwaysF32) {
    if (name.ends_with(ending)) return {Format::F32, "small and sensitive"};
  }
  const bool ternary = target == Format::TQ1_0 || target == Format::TQ2_0;
  if (ternary && (name == "token_embd.weight" || name == "output.weight")) {
    return {Format::F16, "too sensitive for three values"};
  }
  if (row_values(ne) % ggml_type(target).block_values != 0) {
    return {Format::F16, "row is no whole number of blocks"};
  }
  return {target, "requested"};
}

std::vector<std::size_t> quantizer_order(std::span<const std::string_view> names) {
  std::vector<std::size_t> order(names.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {},
                    [&](std::size_t i) { return std::tuple(block_number(names[i]), names[i]); });
  return order;
}

}  // namespace holdfast::convert
