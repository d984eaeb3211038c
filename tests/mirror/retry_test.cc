#include "mirror/retry.h"

#include <vector>

#include <doctest/doctest.h>

#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

TEST_CASE("mirror/retry: unannounced failures double their wait and end within the limit") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    const RetryLimits limits;
    RetryBudget budget(limits, seed);
    SteadyTime now{};
    Milliseconds full = limits.first_wait;
    int attempts = 0;
    while (const auto wait = budget.next_wait(now, std::nullopt)) {
      CHECK(*wait >= full / 2);
      CHECK(*wait <= full);
      full = std::min(full * 2, limits.longest_wait);
      now += *wait;
      ++attempts;
    }
    CHECK(now - SteadyTime{} <= std::chrono::seconds(80));
    CHECK(attempts >= 7);
  }
}

TEST_CASE("mirror/retry: an announced wait is obeyed to the letter and counts as life") {
  RetryBudget budget({}, 1);
  SteadyTime now{};
  for (int i = 0; i < 50; ++i) {
    CHECK(budget.next_wait(now, Milliseconds(300'000)) == Milliseconds(300'000));
    now += Milliseconds(300'000);
  }
  CHECK(budget.next_wait(now, std::nullopt));
  CHECK_FALSE(budget.next_wait(now, Milliseconds(3'600'001)));
}

TEST_CASE("mirror/retry: being put off for ever ends, and a wait of nothing is no announcement") {
  RetryBudget patient({}, 1);
  for (int i = 0; i < 100; ++i) CHECK(patient.next_wait({}, Milliseconds(1'000)));
  CHECK_FALSE(patient.next_wait({}, Milliseconds(1'000)));
  RetryBudget budget({}, 1);
  CHECK(*budget.next_wait({}, Milliseconds(0)) >= Milliseconds(500));
}

TEST_CASE("mirror/retry: who was never reached is asked three times, within seconds") {
  const RetryLimits limits;
  RetryBudget quick(limits, 1);
  SteadyTime now{};
  CHECK(quick.next_contact(now) == limits.contact_wait);
  CHECK(quick.next_contact(now += limits.contact_wait) == limits.contact_wait);
  CHECK_FALSE(quick.next_contact(now += limits.contact_wait));
  RetryBudget slow(limits, 1);  // each attempt lasts as long as a connection may take
  CHECK(slow.next_contact(now));
  CHECK_FALSE(slow.next_contact(now + std::chrono::seconds(15)));
}

TEST_CASE("mirror/retry: progress starts a new streak") {
  RetryBudget budget({}, 3);
  SteadyTime now{};
  for (int i = 0; i < 1'000; ++i) {
    const auto wait = budget.next_wait(now, std::nullopt);
    REQUIRE(wait);
    CHECK(*wait <= Milliseconds(1'000));
    now += *wait;
    budget.progressed();
  }
}

TEST_CASE("mirror/retry: a real wait ends with its stop") {
  std::stop_source stop;
  stop.request_stop();
  Pauser& pauser = real_pauser();
  CHECK_THROWS_AS(pauser.pause(pauser.now() + std::chrono::hours(1), stop.get_token()), Error);
  CHECK_NOTHROW(pauser.pause(pauser.now(), {}));
}

}  // namespace
}  // namespace holdfast::mirror
