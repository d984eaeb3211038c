// The operations of TensorRule on one source tensor: which of its elements become which of the
// output's. Pure.
#pragma once

#include <cstdint>

#include "convert/architecture.h"
#include "convert/config.h"
#include "convert/plan_tensors.h"
#include "convert/safetensors.h"

namespace holdfast::convert {

struct TensorOpInput {
  const ModelConfig& config;
  const Checkpoint& checkpoint;
  std::uint32_t source = 0;      // index into the checkpoint's tensors
  std::uint64_t vocabulary = 0;  // tokens; 0 when unknown
};

// Fills in everything but the name. Errors: Corrupt naming file, tensor and the shape that does not
// fit.
void apply(TensorOp op, const TensorOpInput& input, DraftTensor& draft);

}  // namespace holdfast::convert
