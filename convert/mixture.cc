// The quantizer's mixtures as tables: for each category of tensor, rows tried in order. The rules
// are facts of llama.cpp v0.5.0 (src/llama-quant.cpp, llama_tensor_get_type_impl); quant.md 4.2
// tells them in prose, and tests/convert/mixture_test.cc compares with what the peer chose.
#include <algorithm>
#include <array>
#include <charconv>
#include <regex>

#include "convert/ggml_type.h"
#include "convert/tensor_types.h"
#include "convert/text.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

using quantize::Format;

// Named here by their ids, so that a mixture can be planned before its kernel exists.
constexpr Format Q4_0{2}, Q4_1{3}, Q5_0{6}, Q5_1{7}, Q8_0{8}, Q2_K{10}, Q3_K{11}, Q4_K{12},
    Q5_K{13}, Q6_K{14}, IQ2_XXS{16}, IQ2_XS{17}, IQ3_XXS{18}, IQ1_S{19}, IQ4_NL{20}, IQ3_S{21},
    IQ2_S{22}, IQ4_XS{23}, IQ1_M{29}, TQ1_0{34}, TQ2_0{35}, MXFP4{39}, Q2_0{42};

enum class Category : std::uint8_t {
  TokenEmbedding,
  AttentionV,  // attn_v, attn_qkv and attn_kv_b: all three count as "v-like"
  AttentionK,
  AttentionQ,
  AttentionOutput,
  FfnUp,
  FfnGate,
  FfnDown,
  Output,
  Other,
};

Category category_of(std::string_view name) {
  if (name == "output.weight") return Category::Output;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") {
    return Category::TokenEmbedding;
  }
  // The first part found decides, as in the reference.
  constexpr std::array<std::pair<std::string_view, Category>, 9> kParts = {{
      {"attn_qkv.weight", Category::AttentionV},
      {"attn_kv_b.weight", Category::AttentionV},
      {"attn_v.weight", Category::AttentionV},
      {"attn_k.weight", Category::AttentionK},
      {"attn_q.weight", Category::AttentionQ},
      {"attn_output.weight", Category::AttentionOutput},
      {"ffn_up", Category::FfnUp},
      {"ffn_gate", Category::FfnGate},
      {"ffn_down", Category::FfnDown},
  }};
  for (const auto& [part, category] : kParts) {
    if (contains(name, part)) return category;
  }
  return Category::Other;
}

// What a row's condition may look at.
struct Situation {
  const ModelShape& shape;
  const QuantizerOptions& options;
  std::int64_t layer = 0;   // running index of the category, or the block's number with experts
  std::int64_t layers = 0;  // of the same kind

  bool falcon() const { return shape.architecture == "falcon"; }

  bool eight_experts() const { return shape.experts == 8; }

  bool gqa_at_least_4() const { return shape.heads_kv != 0 && shape.heads / shape.heads_kv >= 4; }

  // The outer eighths and every third layer between get more bits.
  bool more_bits() const {
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
  }

  bool first_eighth() const { return layer < layers / 8; }
};

using Condition = bool (*)(const Situation&);

bool always(const Situation&) { return true; }

bool gqa4(const Situation& s) { return s.gqa_at_least_4(); }

bool gqa4_or_experts4(const Situation& s) { return s.gqa_at_least_4() || s.shape.experts >= 4; }

bool eight_experts(const Situation& s) { return s.eight_experts(); }

bool more_bits(const Situation& s) { return s.more_bits(); }

bool first_two(const Situation& s) { return s.layer < 2; }

bool first_four(const Situation& s) { return s.layer < 4; }

bool first_eighth(const Situation& s) { return s.first_eighth(); }

bool first_sixteenth(const Situation& s) { return s.layer < s.layers / 16; }

bool no_importance(const Situation& s) { return !s.options.has_importance; }

bool no_importance_first_eighth(const Situation& s) { return no_importance(s) && s.first_eighth(); }

bool importance_first_eighth(const Situation& s) { return !no_importance(s) && s.first_eighth(); }

bool first_eighth_or_eight_experts_more(const Situation& s) {
  return s.first_eighth() || (s.eight_experts() && s.more_bits());
}

bool falcon(const Situation& s) { return s.falcon(); }

bool falcon_sixteenth(const Situation& s) { return s.falcon() && first_sixteenth(s); }

bool falcon_more(const Situation& s) { return s.falcon() && s.more_bits(); }

bool not_falcon_first_eighth(const Situation& s) { return !s.falcon() && s.first_eighth(); }

bool middle(const Situation& s) { return s.layer >= s.layers / 8 && s.layer < 7 * s.layers / 8; }

// File types of a row, space-separated; "*" is every one.
bool names_type(std::string_view types, std::string_view name) {
  while (!types.empty()) {
    const std::size_t end = std::min(types.find(' '), types.size());
    if (const std::string_view type = types.substr(0, end); type == name || type == "*")
      return true;
    types.remove_prefix(std::min(end + 1, types.size()));
  }
  return false;
}

// A row that says "the file type's own format" carries this.
constexpr Format kDefault = Format::F32;

struct Row {
  Category category;
  std::string_view types;
  Condition when;
  Format format;
};

constexpr std::string_view kTinyTypes = "IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ1_S IQ1_M";

// The first row of the category that names the type and whose condition holds; none keeps the
// file type's own format.
constexpr std::array kTinyRows = {
    Row{Category::AttentionV, "*", gqa4_or_experts4, Q4_K},
    Row{Category::AttentionV, "IQ2_S IQ2_M", always, IQ3_S},
    Row{Category::AttentionV, "*", always, Q2_K},
    Row{Category::AttentionK, "*", eight_experts, Q4_K},
    Row{Category::FfnDown, "IQ2_S IQ2_M", first_eighth, IQ3_S},
    Row{Category::FfnDown, "*", first_eighth, Q2_K},
    Row{Category::AttentionOutput, "*", eight_experts, Q5_K},
    Row{Category::AttentionOutput, "IQ1_S IQ1_M", always, IQ2_XXS},
    Row{Category::AttentionOutput, "IQ2_S IQ2_M", always, IQ3_S},
};

constexpr std::array kRows = {
    Row{Category::TokenEmbedding, "IQ2_XXS IQ2_XS IQ1_S IQ1_M", always, Q2_K},
    Row{Category::TokenEmbedding, "IQ2_S IQ2_M IQ3_XXS", always, IQ3_S},
    Row{Category::TokenEmbedding, "TQ1_0 TQ2_0 Q2_0", always, Q4_K},

    Row{Category::AttentionV, "*", eight_experts, Q8_0},
    Row{Category::AttentionV, "Q2_K", gqa4, Q4_K},
    Row{Category::AttentionV, "Q2_K", always, Q3_K},
    Row{Category::AttentionV, "Q2_K_S IQ3_XXS IQ3_XS IQ3_S", gqa4, Q4_K},
    Row{Category::AttentionV, "IQ3_XXS", no_importance, IQ3_S},
    Row{Category::AttentionV, "IQ3_XXS", always, IQ3_XXS},
    Row{Category::AttentionV, "IQ3_M", always, Q4_K},
    Row{Category::AttentionV, "Q3_K_M", first_two, Q5_K},
    Row{Category::AttentionV, "Q3_K_M", always, Q4_K},
    Row{Category::AttentionV, "Q3_K_L", always, Q5_K},
    Row{Category::AttentionV, "IQ4_NL IQ4_XS", gqa4, Q5_K},
    Row{Category::AttentionV, "Q4_K_M Q5_K_M", more_bits, Q6_K},
    Row{Category::AttentionV, "Q4_K_S", first_four, Q5_K},

    Row{Category::AttentionK, "*", eight_experts, Q8_0},
    Row{Category::AttentionK, "IQ3_XS", always, IQ3_XXS},
    Row{Category::AttentionK, "IQ3_XXS", always, IQ2_S},
    Row{Category::AttentionQ, "IQ3_XS", always, IQ3_XXS},
    Row{Category::AttentionQ, "IQ3_XXS", always, IQ2_S},

    Row{Category::FfnDown, "Q2_K", always, Q3_K},
    Row{Category::FfnDown, "Q2_K_S", first_eighth, Q4_K},
    Row{Category::FfnDown, "IQ3_XXS", no_importance_first_eighth, Q4_K},
    Row{Category::FfnDown, "IQ3_XXS", no_importance, Q3_K},
    Row{Category::FfnDown, "Q3_K_M", first_sixteenth, Q5_K},
    Row{Category::FfnDown, "Q3_K_M", falcon_more, Q4_K},
    Row{Category::FfnDown, "Q3_K_M", falcon, Q3_K},
    Row{Category::FfnDown, "Q3_K_M", always, Q4_K},
    Row{Category::FfnDown, "IQ3_M", first_eighth_or_eight_experts_more, Q4_K},
    Row{Category::FfnDown, "Q3_K_L", falcon, Q4_K},
    Row{Category::FfnDown, "Q3_K_L", always, Q5_K},
    Row{Category::FfnDown, "Q4_K_M", falcon_sixteenth, Q6_K},
    Row{Category::FfnDown, "Q4_K_M", falcon_more, Q5_K},
    Row{Category::FfnDown, "Q4_K_M", falcon, Q4_K},
    Row{Category::FfnDown, "Q4_K_M Q5_K_M", more_bits, Q6_K},
    Row{Category::FfnDown, "IQ4_NL IQ4_XS", no_importance_first_eighth, Q5_K},
    Row{Category::FfnDown, "Q4_K_S", not_falcon_first_eighth, Q5_K},
    Row{Category::FfnDown, "Q4_0", importance_first_eighth, Q4_1},
    Row{Category::FfnDown, "Q5_0", importance_first_eighth, Q5_1},

    Row{Category::AttentionOutput, "Q3_K_L", falcon, Q4_K},
    Row{Category::AttentionOutput, "*", falcon, kDefault},
    Row{Category::AttentionOutput,
        "Q2_K IQ3_XS IQ3_XXS Q3_K_S Q3_K_M IQ4_NL Q4_K_S Q4_K_M IQ3_S IQ3_M IQ4_XS", eight_experts,
        Q5_K},
    Row{Category::AttentionOutput, "*", eight_experts, kDefault},
    Row{Category::AttentionOutput, "Q2_K", always, Q3_K},
    Row{Category::AttentionOutput, "IQ3_XXS", always, IQ3_S},
    Row{Category::AttentionOutput, "Q3_K_M", always, Q4_K},
    Row{Category::AttentionOutput, "Q3_K_L", always, Q5_K},
    Row{Category::AttentionOutput, "IQ3_M", always, Q4_K},

    Row{Category::FfnGate, "IQ3_XS", middle, IQ3_XXS},
    Row{Category::FfnUp, "IQ3_XS", middle, IQ3_XXS},
};

// Parts of names that the quantizer leaves alone (tensor_allows_quantization).
constexpr std::array<std::string_view, 35> kNever = {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
};

// Dimensions of one at the end do not count, as in ggml.
std::size_t rank(std::span<const std::uint64_t> ne) {
  std::size_t rank = ne.size();
  while (rank > 1 && ne[rank - 1] == 1) --rank;
  return rank;
}

bool may_quantize(const TypedTensor& tensor, const QuantizerOptions& options) {
  if (rank(tensor.ne) < 2 || !tensor.name.ends_with("weight")) return false;
  if (tensor.name == "position_embd.weight" || tensor.name == "token_types.weight") return false;
  if (options.leave_output && tensor.name == "output.weight") return false;
  return std::ranges::none_of(kNever,
                              [&](std::string_view part) { return contains(tensor.name, part); });
}

// The format to use where a row is no whole number of 256-value blocks.
constexpr std::array<std::pair<Format, Format>, 16> kFallbacks = {{
    {IQ1_S, IQ4_NL},
    {IQ1_M, IQ4_NL},
    {IQ2_XXS, IQ4_NL},
    {IQ2_XS, IQ4_NL},
    {IQ2_S, IQ4_NL},
    {IQ3_XXS, IQ4_NL},
    {IQ3_S, IQ4_NL},
    {IQ4_XS, IQ4_NL},
    {Q2_0, Q4_0},
    {Q2_K, Q4_0},
    {Q3_K, Q4_0},
    {TQ1_0, Q4_0},
    {TQ2_0, Q4_0},
    {Q4_K, Q5_0},
    {Q5_K, Q5_1},
    {Q6_K, Q8_0},
}};

bool divides(Format format, std::uint64_t row) { return row % ggml_type(format).block_values == 0; }

TypeChoice with_fallback(TypeChoice choice, const TypedTensor& tensor) {
  const std::uint64_t row = tensor.ne.front();
  if (divides(choice.format, row)) return choice;
  Format fallback = choice.format;
  const auto found =
      std::ranges::find(kFallbacks, choice.format, &std::pair<Format, Format>::first);
  if (found != kFallbacks.end()) {
    fallback = found->second;
  } else if (ggml_type(choice.format).block_values > 32) {
    fail(ErrorKind::Unsupported, "tensor \"" + std::string(tensor.name) + "\": rows of " +
                                     std::to_string(row) + " values, and " +
                                     std::string(ggml_type(choice.format).name) +
                                     " has no fallback for that");
  }
  if (!divides(fallback, row)) return {Format::F16, "fallback: no block fits the row"};
  return {fallback, "fallback: smaller block for the row"};
}

// Chooses tensor after tensor, counting each category as it goes.
class Mixture {
 public:
  Mixture(const FileType& file_type, const ModelShape& shape, const QuantizerOptions& options)
      : file_type_(file_type), shape_(shape), options_(options) {
    try {
      for (const TypeOverride& rule : options.overrides) {
        patterns_.emplace_back(std::regex(rule.pattern), rule.format);
      }
    } catch (const std::regex_error&) {
      fail(ErrorKind::Invalid, "--tensor-type: \"" + options.overrides[patterns_.size()].pattern +
                                   "\" is no regular expression");
    }
  }

  void count(const TypedTensor& tensor) {
    const Category category = category_of(tensor.name);
    if (category == Category::AttentionV) ++values_;
    if (category == Category::Output) tied_ = false;
  }

  TypeChoice choose(const TypedTensor& tensor) {
    if (!may_quantize(tensor, options_)) return {tensor.format, "kept"};
    const Category category = category_of(tensor.name);
    const Format* named = find_override(tensor.name);
    const bool per_layer = tensor.name == "per_layer_token_embd.weight" && named != nullptr;
    if (options_.embedding_type && category == Category::TokenEmbedding && !per_layer) {
      return {*options_.embedding_type, "embedding type given"};
    }
    if (options_.output_type && category == Category::Output) {
      return {*options_.output_type, "output type given"};
    }
    if (ggml_type(file_type_.format).block_values == 1) return {file_type_.format, "requested"};
    if (named != nullptr) return with_fallback({*named, "tensor type given"}, tensor);
    if (options_.pure) return with_fallback({file_type_.format, "requested"}, tensor);
    return with_fallback(mixed(tensor, category), tensor);
  }

 private:
  const Format* find_override(std::string_view name) const {
    const std::string text(name);
    for (const auto& [pattern, format] : patterns_) {
      if (std::regex_search(text, pattern)) return &format;
    }
    return nullptr;
  }

  TypeChoice mixed(const TypedTensor& tensor, Category category) {
    if (category == Category::Output || (tied_ && category == Category::TokenEmbedding)) {
      return output_choice(tensor);
    }
    if (file_type_.name == "MXFP4_MOE") {
      const bool experts = tensor.ne.size() > 2 && tensor.ne[2] > 1;
      return {experts ? MXFP4 : Q8_0, "mixture"};
    }
    const bool tiny =
        category != Category::TokenEmbedding && names_type(kTinyTypes, file_type_.name);
    const Situation situation = situate(tensor, category, tiny);
    const std::span<const Row> rows = tiny ? std::span<const Row>(kTinyRows) : kRows;
    TypeChoice choice{file_type_.format, "requested"};
    for (const Row& row : rows) {
      if (row.category != category || !names_type(row.types, file_type_.name)) continue;
      if (!row.when(situation)) continue;
      if (row.format != kDefault) choice = {row.format, "mixture"};
      break;
    }
    // In the 80-layer models eight heads share each value head: a small tensor worth more bits.
    const bool small_values = category == Category::AttentionV && !tiny && is_70b();
    if (small_values && (choice.format == Q3_K || choice.format == Q4_K)) return {Q5_K, "mixture"};
    return choice;
  }

  TypeChoice output_choice(const TypedTensor& tensor) const {
    if (options_.output_type) return {*options_.output_type, "output type given"};
    if (file_type_.name == "MXFP4_MOE" || shape_.architecture == "falcon" ||
        !divides(file_type_.format, tensor.ne.front())) {
      return {Q8_0, "output"};
    }
    if (names_type(kTinyTypes, file_type_.name) || file_type_.name == "IQ3_XXS") {
      return {Q5_K, "output"};
    }
    return {file_type_.format == Q8_0 ? Q8_0 : Q6_K, "output"};
  }

  bool is_70b() const {
    if (shape_.architecture == "llama")
      return shape_.blocks == 80 && shape_.heads != shape_.heads_kv;
    if (shape_.architecture == "jais2") return shape_.blocks == 68;
    constexpr std::array<std::string_view, 3> kAt80 = {"qwen2", "deci", "olmo"};
    return shape_.blocks == 80 && std::ranges::find(kAt80, shape_.architecture) != kAt80.end();
  }

  // The running index counts tensors; in mixtures of experts they come in any order, so the block's
  // number is taken instead, except for v-like tensors and for the smallest types.
  Situation situate(const TypedTensor& tensor, Category category, bool tiny) {
    Situation situation{.shape = shape_, .options = options_};
    if (category == Category::AttentionV) {
      situation.layer = value_index_++;
      situation.layers = values_;
      return situation;
    }
    situation.layers = static_cast<std::int64_t>(shape_.blocks);
    std::int64_t* index = category == Category::FfnDown   ? &down_index_
                          : category == Category::FfnGate ? &gate_index_
                          : category == Category::FfnUp   ? &up_index_
                                                          : nullptr;
    if (index == nullptr) return situation;
    situation.layer = (*index)++;
    if (shape_.experts > 1 && !tiny) situation.layer = block_of(tensor.name);
    return situation;
  }

  std::int64_t block_of(std::string_view name) const {
    std::int64_t block = -1;
    if (name.starts_with("blk.")) {
      std::from_chars(name.data() + 4, name.data() + name.size(), block);
    }
    if (block < 0 || block >= static_cast<std::int64_t>(shape_.blocks)) {
      fail(ErrorKind::Corrupt, "tensor \"" + std::string(name) + "\": block number outside the " +
                                   std::to_string(shape_.blocks) + " blocks of the model");
    }
    return block;
  }

  const FileType& file_type_;
  const ModelShape& shape_;
  const QuantizerOptions& options_;
  std::vector<std::pair<std::regex, Format>> patterns_;
  bool tied_ = true;  // until output.weight is seen
  std::int64_t values_ = 0;
  std::int64_t value_index_ = 0, down_index_ = 0, gate_index_ = 0, up_index_ = 0;
};

}  // namespace

std::vector<TypeChoice> quantizer_types(std::span<const TypedTensor> tensors,
                                        const FileType& file_type, const ModelShape& shape,
                                        const QuantizerOptions& options) {
  Mixture mixture(file_type, shape, options);
  for (const TypedTensor& tensor : tensors) mixture.count(tensor);
  std::vector<TypeChoice> choices;
  for (const TypedTensor& tensor : tensors) choices.push_back(mixture.choose(tensor));
  return choices;
}

bool needs_importance(std::string_view name, Format format, const FileType& file_type) {
  const Category category = category_of(name);
  if (category == Category::TokenEmbedding || category == Category::Output) return false;
  constexpr std::array kNeedy = {IQ3_XXS, IQ2_XXS, IQ2_XS, IQ2_S, IQ1_M, IQ1_S};
  if (std::ranges::find(kNeedy, format) != kNeedy.end()) return true;
  return format == Q2_K && file_type.name == "Q2_K_S";
}

}  // namespace holdfast::convert
