// How many bytes a second an upstream may send us, by the time of day. One limit is shared by all
// who speak to that upstream. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "mirror/retry.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {

// Local time; `to` before `from` goes over midnight. 0 bytes per second: no limit.
struct BandwidthWindow {
  std::chrono::minutes from{0}, to{0};
  std::uint64_t bytes_per_second = 0;

  bool operator==(const BandwidthWindow&) const = default;
};

struct BandwidthPlan {
  std::uint64_t bytes_per_second = 0;    // outside all windows; 0: no limit
  std::vector<BandwidthWindow> windows;  // the first that holds the time counts

  bool operator==(const BandwidthPlan&) const = default;
};

std::uint64_t rate_at(const BandwidthPlan& plan, std::chrono::minutes time_of_day) noexcept;

// The machine's local time of day.
std::chrono::minutes local_time_of_day();

class Bandwidth {
 public:
  using TimeOfDay = std::function<std::chrono::minutes()>;

  // Borrows the pauser.
  explicit Bandwidth(BandwidthPlan plan, Pauser& pauser = real_pauser(),
                     TimeOfDay time_of_day = local_time_of_day);

  // Whether there is any limit, at whatever time.
  bool limits() const noexcept;

  // `bytes` came: returns when their time is over, so that over any second (and the burst of one
  // buffer) no more came than allowed. Error(Cancelled) on stop.
  void took(std::uint64_t bytes, const std::stop_token& stop);

 private:
  BandwidthPlan plan_;
  Pauser& pauser_;
  TimeOfDay time_of_day_;
  Sync<SteadyTime> free_at_;  // when all that came so far is paid for
};

}  // namespace holdfast::mirror
