// What convert knows about a model family: three tables and, for the odd one, a function. Adding a
// family means one file in arch/, one line in arch/all.cc and one golden plan (see README.md).
//
// Tables are constant and live for ever. Patterns are whole names; "{}" stands for one number, or
// at the end of a name for "weight" or "bias". The n-th hole of `to` takes the n-th hole of `from`.
// A tensor that no rule matches is an error, and so is one with a block number outside the model;
// what is left out on purpose has a Drop rule.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "convert/config.h"
#include "convert/metadata.h"
#include "convert/tokenizer.h"

namespace holdfast::convert {

// How the rows of a source tensor become those of the output. Implemented once, in plan_tensors.cc.
enum class TensorOp : std::uint8_t {
  Copy,
  Drop,
  RotaryQuery,  // per head: half-split rotary order to interleaved order (query heads)
  RotaryKey,    // the same for key heads
  Stack,        // second hole is an index: members become one tensor with one more dimension
  AddOne,       // the runtime's norm multiplies by the weight, the model's by 1 + weight
};

struct TensorRule {
  std::string_view from;
  std::string_view to;  // empty for Drop
  TensorOp op = TensorOp::Copy;
};

enum class ValueType : std::uint8_t { U32, F32, Bool, String };
enum class Need : std::uint8_t { Required, Optional };

// A config value that is carried over. `config` may list alternatives, "a|b": the first present
// one.
struct MetadataRule {
  std::string_view config;
  std::string_view key;  // without the architecture's prefix
  ValueType type = ValueType::U32;
  Need need = Need::Required;
  // Used when the config has none of the names.
  std::uint64_t (*otherwise)(const ModelConfig&) = nullptr;
};

// Tensors that no checkpoint holds.
enum class RopeFactors : std::uint8_t { None, Llama3 };

struct Architecture {
  std::string_view name;                       // general.architecture
  std::span<const std::string_view> hf_names;  // architectures[0] of config.json
  std::span<const TensorRule> tensors;         // first match wins
  std::span<const MetadataRule> metadata;      // after the ones that all families share
  RopeFactors rope_factors = RopeFactors::None;
  VocabularyKind vocabulary = VocabularyKind::Auto;
  // Last word on the keys, for what no table row can say.
  void (*refine)(const ModelConfig& config, Metadata& metadata) = nullptr;
};

std::span<const Architecture* const> architectures() noexcept;

// By the class name of config.json. Error(Unsupported) with the nearest names that are known.
const Architecture& find_architecture(std::string_view hf_name);

// hidden size / heads: the head size where config.json does not give one.
std::uint64_t hidden_per_head(const ModelConfig& config);

}  // namespace holdfast::convert
