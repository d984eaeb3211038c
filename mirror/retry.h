// When to ask again. The decisions are pure (time and chance come in as values); only Pauser waits.
//
// Rules, which users can count on: a wait that the other side announces is obeyed; without one the
// waits double from one second to sixteen, jittered, and a streak of failures ends at last 80 s
// after its first; bytes that arrived end the streak. An upstream that was never reached is asked
// three times within three seconds and no more: a wrong address is likelier than a bad moment.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>

namespace holdfast::mirror {

using SteadyTime = std::chrono::steady_clock::time_point;
using Milliseconds = std::chrono::milliseconds;

struct RetryLimits {
  Milliseconds first_wait{1'000};
  Milliseconds longest_wait{16'000};
  Milliseconds give_up_after{80'000};     // from the first failure of a streak
  Milliseconds announced_max{3'600'000};  // a longer announced wait is a failure
  int announced_count_max = 100;          // so is being put off that often in a row
  int contact_attempts = 3;
  Milliseconds contact_wait{500};
  Milliseconds contact_give_up_after{3'000};  // from the first failure
};

// One request's memory of its failures. Not thread-safe; one owner.
class RetryBudget {
 public:
  // Any two seeds, even neighbours, give waits of their own.
  RetryBudget(const RetryLimits& limits, std::uint64_t seed)
      : limits_(limits), random_((seed * 0x9e3779b97f4a7c15) | 1) {}

  // How long to wait before the next attempt, after a failure at `now`; nothing: give up.
  std::optional<Milliseconds> next_wait(SteadyTime now, std::optional<Milliseconds> announced);

  // The same while nobody was ever reached.
  std::optional<Milliseconds> next_contact(SteadyTime now);

  // Enough bytes arrived that the other side is at work.
  void progressed() noexcept;

 private:
  std::uint64_t next_random() noexcept;

  RetryLimits limits_;
  std::uint64_t random_;
  int failures_ = 0;
  int announced_ = 0;
  SteadyTime first_failure_{};
};

// Where the mirror sleeps, so that tests need not. Thread-safe.
class Pauser {
 public:
  virtual ~Pauser() = default;
  virtual SteadyTime now() const = 0;
  // Returns at `until`; throws Error(Cancelled) as soon as `stop` is requested.
  virtual void pause(SteadyTime until, const std::stop_token& stop) = 0;
};

// The machine's clock. Shared by all; holds no state.
Pauser& real_pauser() noexcept;

}  // namespace holdfast::mirror
