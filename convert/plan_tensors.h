// From a checkpoint's tensors to the output's: names, shapes, and which source elements go where,
// by an architecture's rules. Pure; no type is chosen and no byte is read here.
//
// Errors: Unsupported listing the tensors that no rule matches, with the known architecture that
// would match most; Corrupt naming the tensor whose shape does not fit the config.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "convert/architecture.h"
#include "convert/config.h"
#include "convert/general_metadata.h"
#include "convert/safetensors.h"
#include "convert/tensor_view.h"
#include "quantize/format.h"

namespace holdfast::convert {

// What happens to each value after it is picked.
enum class ValueOp : std::uint8_t { None, AddOne };

struct DraftTensor {
  std::string name;
  std::vector<std::uint64_t> ne;  // fastest dimension first
  std::vector<TensorView> parts;  // one after the other, each a whole number of rows
  ValueOp op = ValueOp::None;
  std::vector<float> values;  // of a tensor that no checkpoint holds; then `parts` is empty
  // The checkpoint holds it in this block format, in which it stays whatever is asked for.
  std::optional<quantize::Format> encoded;
  std::optional<quantize::Format> preferred;  // by the converter, to the one that is asked for

  std::uint64_t elements() const noexcept;
};

struct DraftOptions {
  std::uint64_t vocabulary = 0;  // tokens of the tokenizer; 0 when unknown
  bool fuse_qkv = false;         // attn_q, attn_k and attn_v become attn_qkv
  bool fp8_as_q8 = false;        // FP8 matrices become Q8_0, whatever the type of the others
};

// As find_architecture of the config alone, and the error for an unknown class lists the tensors
// that its nearest relative by tensor names does not know.
const Architecture& find_architecture(const ModelConfig& config, const Checkpoint& checkpoint);

// In the order in which the peer's converter writes them.
std::vector<DraftTensor> draft_tensors(const Architecture& architecture, const ModelConfig& config,
                                       const Checkpoint& checkpoint,
                                       const DraftOptions& options = {});

ParameterCounts count_parameters(std::span<const DraftTensor> tensors);

}  // namespace holdfast::convert
