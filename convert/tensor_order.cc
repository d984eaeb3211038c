#include "convert/tensor_order.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "convert/output.h"

namespace holdfast::convert {
namespace {

// Bytes of `plan` that are not hashed when all its tensors have been written in the order of
// `lead`.
std::uint64_t bytes_behind(const Plan& lead, const Plan& plan) {
  std::vector<bool> written(plan.tensors.size());
  std::size_t next = 0;      // the tensor that the hash has come to
  std::uint64_t hashed = 0;  // of that tensor
  for (const std::size_t tensor : match_tensors(lead, plan)) {
    written[tensor] = true;
    std::uint64_t room = plan.tensors[tensor].size_bytes * kCatchUpFactor;
    while (next < written.size() && written[next] && room > 0) {
      const std::uint64_t size = plan.tensors[next].size_bytes;
      const std::uint64_t step = std::min(size - hashed, room);
      hashed += step;
      room -= step;
      if (hashed < size) break;
      ++next;
      hashed = 0;
    }
  }
  std::uint64_t left = 0;
  for (std::size_t i = next; i < plan.tensors.size(); ++i) left += plan.tensors[i].size_bytes;
  return left - hashed;
}

}  // namespace

std::vector<std::size_t> match_tensors(const Plan& lead, const Plan& plan) {
  std::unordered_map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    index.emplace(plan.tensors[i].draft.name, i);
  }
  std::vector<std::size_t> matched;
  for (const PlannedTensor& tensor : lead.tensors) matched.push_back(index.at(tensor.draft.name));
  return matched;
}

const Plan& best_order(std::span<const Plan* const> plans) {
  const auto behind = [&](const Plan* lead) {
    std::uint64_t bytes = 0;
    for (const Plan* plan : plans) bytes += bytes_behind(*lead, *plan);
    return bytes;
  };
  return **std::ranges::min_element(plans, {}, behind);
}

}  // namespace holdfast::convert
