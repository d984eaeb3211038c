// Leaving out layers, as --prune-layers of llama.cpp's quantizer does: those behind move up. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "convert/metadata.h"
#include "convert/plan_tensors.h"

namespace holdfast::convert {

// The tensors of the other layers, under their new names, and those of no layer. Error(Invalid)
// for a number that none of the `blocks` layers has, and when no layer would be left.
std::vector<DraftTensor> prune(std::vector<DraftTensor> drafts,
                               const std::set<std::uint64_t>& layers, std::uint64_t blocks);

// The lists of a value for each of the `blocks` layers among an architecture's keys, without those
// of the left out. llama.cpp's quantizer leaves them too long, and its loader refuses such a file.
void prune(Metadata& metadata, std::string_view architecture, const std::set<std::uint64_t>& layers,
           std::uint64_t blocks);

// What a tensor was called before.
std::string name_before_pruning(std::string_view name, const std::set<std::uint64_t>& layers);

}  // namespace holdfast::convert
