#include "ops/scrubber.h"

#include <doctest/doctest.h>

namespace holdfast::ops {
namespace {

TEST_CASE(
    "ops/scrubber: a cycle starts a period after the last began, an interrupted one at once") {
  using std::chrono::hours;
  constexpr auto kPeriod = hours(10);
  const Time now = Time() + hours(1000);

  struct Case {
    const char* name;
    Time started, completed, expected;
  };

  const Case cases[] = {
      {"never", Time(), Time(), now},
      {"complete, not yet due", now - hours(3), now - hours(2), now + hours(7)},
      {"complete, overdue", now - hours(30), now - hours(20), now - hours(20)},
      {"interrupted", now - hours(3), Time(), now},
      {"interrupted, after a complete one", now - hours(3), now - hours(9), now},
      {"the clock was set back", now + hours(50), now + hours(51), now},
  };
  for (const Case& row : cases) {
    CAPTURE(row.name);
    const storage::ScrubStatus status{.cycle_started = row.started,
                                      .cycle_completed = row.completed};
    CHECK(next_cycle(status, kPeriod, now) == row.expected);
  }
}

}  // namespace
}  // namespace holdfast::ops
