// The background scrub of a server: reads every object of the store once per period, at most so
// many bytes a second, and has what is damaged fetched again. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

#include "storage/store.h"

namespace holdfast::ops {

struct ScrubSettings {
  std::uint64_t bytes_per_second = 20'000'000;                // 0: no scrub
  std::chrono::seconds period = std::chrono::hours(24 * 30);  // from start to start
  bool offline = false;                                       // queue no sync for what is damaged
};

// When the cycle after this one starts; one that was interrupted goes on at once. Pure.
Time next_cycle(const storage::ScrubStatus& status, std::chrono::seconds period, Time now);

class Scrubber {
 public:
  // Starts at once; destruction stops between two pieces and joins. Borrows the store.
  Scrubber(storage::Store& store, const ScrubSettings& settings);

 private:
  std::jthread thread_;
};

}  // namespace holdfast::ops
