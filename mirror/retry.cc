#include "mirror/retry.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

class RealPauser final : public Pauser {
 public:
  SteadyTime now() const override { return std::chrono::steady_clock::now(); }

  void pause(SteadyTime until, const std::stop_token& stop) override {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    stopped.wait_until(lock, stop, until, [] { return false; });
    if (stop.stop_requested()) fail(ErrorKind::Cancelled, "stopped while waiting for upstream");
  }
};

}  // namespace

std::optional<Milliseconds> RetryBudget::next_wait(SteadyTime now,
                                                   std::optional<Milliseconds> announced) {
  if (announced && announced->count() > 0) {
    // Someone who says when to come back is alive: that is no failure streak.
    failures_ = 0;
    if (*announced > limits_.announced_max || ++announced_ > limits_.announced_count_max) {
      return std::nullopt;
    }
    return announced;
  }
  if (failures_++ == 0) first_failure_ = now;
  const int doublings = std::min(failures_ - 1, 20);
  const Milliseconds full =
      std::min(limits_.longest_wait, limits_.first_wait * (std::int64_t{1} << doublings));
  // Between half and the whole of it, so that many clients do not come back in step.
  const auto half = full.count() / 2;
  const Milliseconds wait(
      half + static_cast<std::int64_t>(next_random() % static_cast<std::uint64_t>(half + 1)));
  if (now + wait - first_failure_ > limits_.give_up_after) return std::nullopt;
  return wait;
}

std::optional<Milliseconds> RetryBudget::next_contact(SteadyTime now) {
  if (failures_++ == 0) first_failure_ = now;
  if (failures_ >= limits_.contact_attempts) return std::nullopt;
  if (now + limits_.contact_wait - first_failure_ > limits_.contact_give_up_after) {
    return std::nullopt;
  }
  return limits_.contact_wait;
}

void RetryBudget::progressed() noexcept {
  failures_ = 0;
  announced_ = 0;
}

// xorshift64: chance for jitter, not for secrets.
std::uint64_t RetryBudget::next_random() noexcept {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

Pauser& real_pauser() noexcept {
  static RealPauser pauser;
  return pauser;
}

}  // namespace holdfast::mirror
