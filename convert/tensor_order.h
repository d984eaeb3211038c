// The order in which several outputs of one reading are made. They have the same tensors, but not
// in the same order: llama.cpp's converter keeps that of the checkpoint, its quantizer counts
// layers.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "convert/plan.h"

namespace holdfast::convert {

// For each of `tensors` its index in `plan`, which has the same ones.
std::vector<std::size_t> match_tensors(std::span<const PlannedTensor> tensors, const Plan& plan);

// The tensors of one of the plans, in the order in which to make those of all. A file's hash goes
// on in file order only, so with each order some files wait for one of their tensors while later
// ones are written; this one leaves the fewest bytes to hash after the last tensor. Of a single
// plan it is the plan's own.
std::vector<PlannedTensor> best_order(std::span<const Plan* const> plans);

}  // namespace holdfast::convert
