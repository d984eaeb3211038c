#include "convert/weight_scales.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

// The end of a scale's name, and what stands there in the weight's.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kScaleNames = {
    {{".weight_scale_inv", ".weight"},
     {".weight_scale", ".weight"},
     {".qscale_weight", ".weight"}}};

// Scales of activations: the runtime computes in floating point.
constexpr std::array<std::string_view, 4> kActivationScales = {".activation_scale", ".input_scale",
                                                               "_activation_scale", ".qscale_act"};

bool is_fp8(const SourceTensor& tensor) {
  return tensor.dtype->name == "F8_E4M3" || tensor.dtype->name == "F8_E5M2";
}

[[noreturn]] void fail_scales(const Checkpoint& checkpoint, const SourceTensor& scales,
                              const std::string& expected) {
  fail(ErrorKind::Corrupt, checkpoint.files[scales.file] + ": " + scales.name + ": expected " +
                               expected + ", found " + std::string(scales.dtype->name) + " " +
                               shape_text(scales.shape));
}

std::uint64_t divided_up(std::uint64_t value, std::uint64_t by) { return (value + by - 1) / by; }

}  // namespace

WeightScales::WeightScales(const ModelConfig& config, const Checkpoint& checkpoint)
    : config_(config), checkpoint_(checkpoint) {
  std::unordered_map<std::string_view, std::uint32_t> weights;
  const auto& tensors = checkpoint.tensors;
  for (std::uint32_t i = 0; i < tensors.size(); ++i) {
    if (is_fp8(tensors[i])) weights.emplace(tensors[i].name, i);
  }
  if (weights.empty()) return;
  for (std::uint32_t i = 0; i < tensors.size(); ++i) {
    const std::string& name = tensors[i].name;
    for (const auto& [end, replacement] : kScaleNames) {
      if (!name.ends_with(end)) continue;
      const std::string weight =
          name.substr(0, name.size() - end.size()) + std::string(replacement);
      if (const auto found = weights.find(weight); found != weights.end()) add(found->second, i);
    }
    if (std::ranges::any_of(kActivationScales, [&](auto end) { return name.ends_with(end); })) {
      consumed_.insert(i);
    }
  }
}

void WeightScales::add(std::uint32_t weight, std::uint32_t scales) {
  Blocks blocks = blocks_of(checkpoint_.tensors[weight], checkpoint_.tensors[scales]);
  blocks.scales = scales;
  by_weight_[weight] = blocks;
  consumed_.insert(scales);
}

WeightScales::Blocks WeightScales::blocks_of(const SourceTensor& weight,
                                             const SourceTensor& scales) const {
  const std::uint64_t columns = weight.shape.empty() ? 1 : weight.shape.back();
  const std::uint64_t rows = columns == 0 ? 0 : weight.elements() / columns;
  const std::uint64_t count = scales.elements();
  if (!scales.dtype->numeric) fail_scales(checkpoint_, scales, "numbers");
  if (count == 1)
    return {.rows = std::max<std::uint64_t>(1, rows), .columns = columns, .stride = 1};
  const Json* given = config_.find("quantization_config");
  const Json* size = given == nullptr ? nullptr : given->find("weight_block_size");
  if (size == nullptr) {
    if (count != rows)
      fail_scales(checkpoint_, scales, "a scale, or one for each row of " + weight.name);
    return {.rows = 1, .columns = columns, .stride = 1};
  }
  const std::string where = "config.json: quantization_config.weight_block_size";
  const Json::Array& sides = size->as_array(where);
  if (sides.size() != 2) fail(ErrorKind::Corrupt, where + ": expected two numbers");
  Blocks blocks{.rows = sides[0].as_uint(where), .columns = sides[1].as_uint(where)};
  if (blocks.rows == 0 || blocks.columns == 0) fail(ErrorKind::Corrupt, where + ": found 0");
  // Several matrices in one tensor are one tall matrix if no block reaches into the next.
  const bool tall = weight.shape.size() > 2;
  const std::uint64_t matrix_rows = tall ? weight.shape[weight.shape.size() - 2] : rows;
  blocks.stride = divided_up(columns, blocks.columns);
  if ((tall && matrix_rows % blocks.rows != 0) ||
      count != divided_up(rows, blocks.rows) * blocks.stride) {
    fail_scales(checkpoint_, scales, "one for each block of " + weight.name);
  }
  return blocks;
}

void WeightScales::attach(TensorView& view) const {
  const auto found = by_weight_.find(view.source);
  if (found == by_weight_.end()) return;
  view.packing = Packing::Scaled;
  view.scales = found->second.scales;
  view.scale_rows = found->second.rows;
  view.scale_columns = found->second.columns;
  view.scale_stride = found->second.stride;
}

}  // namespace holdfast::convert
