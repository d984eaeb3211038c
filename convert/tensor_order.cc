#include "convert/tensor_order.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "convert/output.h"

namespace holdfast::convert {
namespace {

// Smaller ones hold up a file's hash like others, but cost nothing to make first.
constexpr std::uint64_t kSmallBytes = 1 << 20;

using Tensors = std::span<const PlannedTensor>;

// Bytes of `plan` that are not hashed when all its tensors have been written in this order.
std::uint64_t bytes_behind(Tensors order, const Plan& plan) {
  std::vector<bool> written(plan.tensors.size());
  std::size_t next = 0;      // the tensor that the hash has come to
  std::uint64_t hashed = 0;  // of that tensor
  for (const std::size_t tensor : match_tensors(order, plan)) {
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

std::vector<std::size_t> match_tensors(Tensors tensors, const Plan& plan) {
  std::unordered_map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    index.emplace(plan.tensors[i].draft.name, i);
  }
  std::vector<std::size_t> matched;
  for (const PlannedTensor& tensor : tensors) matched.push_back(index.at(tensor.draft.name));
  return matched;
}

std::vector<PlannedTensor> best_order(std::span<const Plan* const> plans) {
  std::vector<std::vector<PlannedTensor>> orders;
  for (const Plan* plan : plans) orders.push_back(plan->tensors);
  for (const Plan* plan : plans) {
    orders.push_back(plan->tensors);
    std::ranges::stable_partition(
        orders.back(), [](const PlannedTensor& tensor) { return tensor.size_bytes < kSmallBytes; });
  }
  const auto behind = [&](Tensors order) {
    std::uint64_t bytes = 0;
    for (const Plan* plan : plans) bytes += bytes_behind(order, *plan);
    return bytes;
  };
  return std::move(*std::ranges::min_element(orders, {}, behind));
}

}  // namespace holdfast::convert
