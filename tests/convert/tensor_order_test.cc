#include "convert/tensor_order.h"

#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace holdfast::convert {
namespace {

// A tensor of one layer is 1000 bytes.
Plan plan_of(const std::vector<std::string>& names) {
  Plan plan;
  for (const std::string& name : names) {
    PlannedTensor tensor;
    tensor.draft.name = name;
    tensor.size_bytes = 1000;
    plan.tensors.push_back(std::move(tensor));
  }
  return plan;
}

std::vector<std::string> layers(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("blk." + std::to_string(i));
  return names;
}

}  // namespace

TEST_CASE("convert/tensor_order: tensors are found in another plan by name") {
  const Plan lead = plan_of({"a", "b", "c"}), other = plan_of({"c", "a", "b"});
  CHECK(match_tensors(lead, other) == std::vector<std::size_t>{1, 2, 0});
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
    std::vector<std::string> names = layers(c.layers);
    const Plan by_number = plan_of(names);
    std::ranges::sort(names);
    const Plan by_name = plan_of(names);
    const Plan* const first[] = {&by_number, &by_name, &by_number};
    CHECK(&best_order(first) == (c.by_name ? &by_name : &by_number));
  }
}

}  // namespace holdfast::convert
