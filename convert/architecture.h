// What convert knows about a model family: tables and, for the odd one, a function. Adding a
// family means one file in arch/, one line in arch/all.cc and a reference case (see README.md).
//
// Tables are constant and live for ever. Patterns are whole names; "{}" stands for one number, or
// at the end of a name for "weight" or "bias". The n-th hole of `to` takes the n-th hole of `from`.
// A tensor that no rule matches is an error, and so is one with a block number outside the model;
// what is left out on purpose has a Drop rule or a start of its name in `left_out`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convert/config.h"
#include "convert/metadata.h"
#include "convert/tokenizer.h"

namespace holdfast::convert {

// How the elements of a source tensor become those of the output. Implemented once, in
// tensor_ops.cc; Stack, Once and Drop, which are about several tensors, in plan_tensors.cc. "Rows"
// and "columns" are those of each matrix: the last two dimensions.
enum class TensorOp : std::uint8_t {
  Copy,
  Drop,
  Once,         // of several names of the same weights, the first in the checkpoint counts
  RotaryQuery,  // per head: half-split rotary order to interleaved order (query heads)
  RotaryKey,    // the same for key heads
  Stack,        // second hole is an index: members become one tensor with one more dimension
  AddOne,       // the runtime's norm multiplies by the weight, the model's by 1 + weight
  Transpose,
  FirstHalf,  // of the rows
  SecondHalf,
  EvenOutputs,  // every second slice of the second dimension: an expert's outputs
  OddOutputs,
  FirstHalfTransposed,  // half of the columns, which become rows
  SecondHalfTransposed,
  EvenTransposed,  // every second column
  OddTransposed,
  GroupedQkv,    // per key head its query heads, itself and its value head, to all Q, all K, all V
  LatentKey,     // of a fused kv_b projection: per head the key part, transposed
  LatentValue,   // … and the value part
  Positions,     // without the rows in front of the first position, which come from padding
  Vocabulary,    // without rows beyond the tokenizer's last token
  MxBlocks,      // MXFP4 blocks stay as they are; their scales stand in "…_scales"
  MxEvenBlocks,  // … of the even outputs
  MxOddBlocks,
};

struct TensorRule {
  std::string_view from;
  std::string_view to;  // empty for Drop
  TensorOp op = TensorOp::Copy;
};

enum class ValueType : std::uint8_t { U32, F32, Bool, String };
enum class Need : std::uint8_t { Required, Optional };

// A value that config.json does not hold as it is needed; nothing leaves the key out.
using ComputeValue = std::optional<MetadataValue> (*)(const ModelConfig&);

// A config value that is carried over. `config` may list alternatives, "a|b": the first present
// one; when it is empty the value is always computed.
struct MetadataRule {
  std::string_view config;
  // Without the architecture's prefix, unless it starts with "general." or "tokenizer.". A key
  // that is there already keeps its place and takes this value.
  std::string_view key;
  ValueType type = ValueType::U32;
  Need need = Need::Required;
  ComputeValue otherwise = nullptr;  // used when the config has none of the names
};

// Tensors that no checkpoint holds.
enum class RopeFactors : std::uint8_t {
  None,
  Llama3,     // rope_freqs.weight
  LongShort,  // rope_factors_long.weight and rope_factors_short.weight
};

// Layers behind the last one that predict further tokens ("nextn", multi-token prediction).
enum class NextLayers : std::uint8_t { None, Drop, Keep };

// In front of a tensor's name: the model inside a wrapper. Rules are written without them.
inline constexpr std::string_view kUsualPrefixes[] = {"model.language_model.",
                                                      "language_model.model.", "language_model.",
                                                      "model.text_model.", "model."};

// Parts of multimodal models that a text model's file does not hold.
inline constexpr std::string_view kOtherModalities[] = {"visual.",
                                                        "model.visual.",
                                                        "vision_tower.",
                                                        "model.vision_tower.",
                                                        "vision_model.",
                                                        "model.vision_model.",
                                                        "multi_modal_projector.",
                                                        "model.multi_modal_projector.",
                                                        "model.connector.",
                                                        "patch_merger.",
                                                        "audio_tower.",
                                                        "model.audio_tower."};

struct Architecture {
  std::string_view name;                       // general.architecture
  std::span<const std::string_view> hf_names;  // architectures[0] of config.json
  // Which configs of these classes are meant; nullptr means all. First in the list wins.
  bool (*applies)(const ModelConfig& config) = nullptr;
  std::span<const std::string_view> prefixes = kUsualPrefixes;
  // First match wins, with the rules of the same `from` behind it; then the ones shared by many.
  std::span<const TensorRule> tensors = {};
  std::span<const TensorRule> shared_tensors = {};
  std::span<const std::string_view> left_out = {};  // starts of names, with or without a prefix
  NextLayers next_layers = NextLayers::None;
  std::span<const MetadataRule> metadata = {};  // after the ones that all families share …
  bool own_keys = false;                        // … or instead of them
  // In front of general.type, where the peer writes what it computes with the tensors.
  std::span<const MetadataRule> early_metadata = {};
  RopeFactors rope_factors = RopeFactors::None;
  VocabularyKind vocabulary = VocabularyKind::Auto;
  // Last word on the keys, for what no table row can say.
  void (*refine)(const ModelConfig& config, Metadata& metadata) = nullptr;
};

std::span<const Architecture* const> architectures() noexcept;

// By the class name of config.json; nullptr where no table is for it, or none for such a config.
const Architecture* known_architecture(const ModelConfig& config);

// The same. Error(Unsupported) with the nearest names that are known; plan_tensors.h has one that
// looks at the tensors too.
const Architecture& find_architecture(const ModelConfig& config);

// What that error says.
std::string unknown_architecture_text(const ModelConfig& config);

// How many characters `hf_name` and one of the architecture's class names begin with in common:
// families share them.
std::size_t likeness(const Architecture& architecture, std::string_view hf_name) noexcept;

// Layers in the output, with those that predict further tokens where they are kept.
std::uint64_t block_count(const Architecture& architecture, const ModelConfig& config);

// The head size: head_dim, or hidden size / heads where config.json does not give one.
std::uint64_t head_size(const ModelConfig& config);

// For tables: the same as a value, and values that hold for every config.
std::optional<MetadataValue> head_size_value(const ModelConfig& config);
std::optional<MetadataValue> rope_scaling_none(const ModelConfig& config);  // "none"
std::optional<MetadataValue> pooling_type(const ModelConfig& config);
std::optional<MetadataValue> not_causal(const ModelConfig& config);  // false

// A share of the head size, rounded down: what partial_rotary_factor, or `otherwise`, makes of it.
std::uint32_t partial_rotary_size(const ModelConfig& config, double otherwise);

// Which layers see a window only: from layer_types, or all but every fourth.
std::vector<bool> sliding_layers(const ModelConfig& config);

// Error(LimitExceeded) above 32 bits.
std::uint32_t to_u32(std::uint64_t value, std::string_view field);

}  // namespace holdfast::convert
