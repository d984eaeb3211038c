// What ops/ adds to /-/metrics of its own: the store, its jobs, and what became of them in this
// process; docs/metrics.md says what each means. Thread-safe; borrows the store.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "storage/base/json.h"
#include "storage/base/sync.h"
#include "storage/store.h"

namespace holdfast::ops {

class Metrics {
 public:
  Metrics(storage::Store& store, std::string version);

  // A job ran to its end; `result` is nullptr where it failed. What cannot be counted is logged.
  void add_job(const storage::Job& job, std::chrono::nanoseconds took,
               const Json::Object* result) noexcept;

  // The exposition format. Without the samples of what cannot be looked at now, which is logged.
  std::string to_text();

 private:
  struct Runs {
    std::uint64_t count = 0;
    std::chrono::nanoseconds took{0};
  };

  struct Counts {
    std::map<std::string, Runs> runs;  // by kind
    std::uint64_t deliveries = 0, failed_deliveries = 0;
    std::uint64_t tensors = 0, converted_bytes = 0;
    std::uint64_t reclaimed_bytes = 0;
    std::uint64_t checked = 0, found = 0;  // by fsck
  };

  // Of a look at all objects, which takes a second for a million: not one at every scrape.
  struct Look {
    storage::StoreTotals totals;
    std::chrono::steady_clock::time_point at;
    bool taken = false;
    bool under_way = false;
  };

  void count_job(const storage::Job& job, std::chrono::nanoseconds took,
                 const Json::Object* result);
  // Nothing before the first look is over.
  std::optional<storage::StoreTotals> totals();

  storage::Store& store_;
  std::string version_;
  Sync<Counts> counts_{};
  Sync<Look> look_{};
};

}  // namespace holdfast::ops
