// Where config.json and the weights contradict each other, or where config.json asks for what the
// output cannot express: a file made from such a checkpoint would be refused by its reader, or
// worse, run wrongly. Pure.
#pragma once

#include <cstdint>
#include <span>

#include "convert/architecture.h"
#include "convert/config.h"
#include "convert/plan_tensors.h"
#include "convert/safetensors.h"

namespace holdfast::convert {

// The way in which rotary frequencies are stretched must be one that files of this architecture
// can say. Known types and what becomes of them: transformers, modeling_rope_utils.py; llama.cpp,
// conversion/base.py. Error(Unsupported) naming field, value and the types that are possible;
// Corrupt for a type without its factor.
void check_rope_scaling(const Architecture& architecture, const ModelConfig& config);

// Block count, widths, heads and vocabulary of the config against the drafted tensors, as far as
// the architecture's keys determine their shapes. Error(Corrupt) naming the config's field, the
// tensor and both numbers.
void check_agreement(const Architecture& architecture, const ModelConfig& config,
                     const Checkpoint& checkpoint, std::span<const DraftTensor> drafts);

}  // namespace holdfast::convert
