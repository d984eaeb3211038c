// Many items at once, told as one job: whoever runs the job hears of all of them, in its own
// thread, as if they were one.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "storage/jobs.h"

namespace holdfast::mirror {

// Who works on an item. Its context belongs to it alone and ends with the run.
struct Worker {
  std::size_t number = 0;
  storage::JobContext& context;
};

// Calls `work` with each index of `names`, in their order, from `at_once` threads. What is thrown
// first stops the others and is thrown again once they have ended.
void side_by_side(const std::vector<std::string>& names, unsigned at_once,
                  storage::JobContext& context,
                  const std::function<void(std::size_t item, const Worker& worker)>& work);

}  // namespace holdfast::mirror
