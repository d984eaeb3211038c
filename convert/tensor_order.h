// The order in which several outputs of one reading are made. They have the same tensors, but not
// in the same order: llama.cpp's converter keeps that of the checkpoint, its quantizer counts
// layers.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "convert/plan.h"

namespace holdfast::convert {

// For each tensor of `lead` its index in `plan`.
std::vector<std::size_t> match_tensors(const Plan& lead, const Plan& plan);

// The plan in whose order to make all of them. A file's hash goes on in file order only, so with
// each order some of the files wait for one of their tensors while later ones are written; this
// one leaves the fewest bytes to hash after the last tensor. The first of equals.
const Plan& best_order(std::span<const Plan* const> plans);

}  // namespace holdfast::convert
