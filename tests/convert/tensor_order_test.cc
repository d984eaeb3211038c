#include "convert/tensor_order.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace holdfast::convert {
namespace {

constexpr std::uint64_t kLarge = 4 << 20, kSmall = 4096;

// Those with "norm" in their names are small.
Plan plan_of(const std::vector<std::string>& names) {
  Plan plan;
  for (const std::string& name : names) {
    PlannedTensor tensor;
    tensor.draft.name = name;
    tensor.size_bytes = name.find("norm") == name.npos ? kLarge : kSmall;
    plan.tensors.push_back(std::move(tensor));
  }
  return plan;
}

std::vector<std::string> names_of(std::span<const PlannedTensor> tensors) {
  std::vector<std::string> names;
  for (const PlannedTensor& tensor : tensors) names.push_back(tensor.draft.name);
  return names;
}

std::vector<std::string> layers(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("blk." + std::to_string(i));
  return names;
}

}  // namespace

TEST_CASE("convert/tensor_order: tensors are found in another plan by name") {
  const Plan lead = plan_of({"a", "b", "c"}), other = plan_of({"c", "a", "b"});
  CHECK(match_tensors(lead.tensors, other) == std::vector<std::size_t>{1, 2, 0});
}

TEST_CASE("convert/tensor_order: the order that leaves least to hash at the end") {
  struct Case {
    int layers;
    bool by_name;  // rather than by number
  };

  // Of 12 layers by name, 10 and 11 come before 2: by number, all from 2 on would wait for them. Of
  // 24 by name, the file by number waits for 9 while 14 layers are written.
  constexpr Case kCases[] = {{1, false}, {10, false}, {12, true}, {24, false}, {80, false}};
  for (const Case& c : kCases) {
    CAPTURE(c.layers);
    const std::vector<std::string> numbered = layers(c.layers);
    std::vector<std::string> named = numbered;
    std::ranges::sort(named);
    const Plan by_number = plan_of(numbered), by_name = plan_of(named);
    const Plan* const plans[] = {&by_number, &by_name, &by_number};
    CHECK(names_of(best_order(plans)) == (c.by_name ? named : numbered));
  }
}

TEST_CASE(
    "convert/tensor_order: a file waits for none of the small tensors that others have last") {
  const Plan first = plan_of({"output_norm", "blk.0", "blk.1"});
  const Plan last = plan_of({"blk.0", "blk.1", "output_norm"});
  const Plan* const one[] = {&last};
  CHECK(names_of(best_order(one)) == names_of(last.tensors));
  const Plan* const both[] = {&last, &first};
  CHECK(names_of(best_order(both)).front() == "output_norm");
}

}  // namespace holdfast::convert
