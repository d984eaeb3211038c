#include "mirror/bandwidth.h"

#include <doctest/doctest.h>

#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

TEST_CASE("mirror/bandwidth: the first window that holds the time counts") {
  const BandwidthPlan plan{.bytes_per_second = 100,
                           .windows = {{hours(8), hours(18), 10}, {hours(22), hours(6), 0}}};

  struct Case {
    minutes time;
    std::uint64_t rate;
  };

  const Case cases[] = {{hours(0), 0},
                        {hours(6), 100},
                        {hours(8) - minutes(1), 100},
                        {hours(8), 10},
                        {hours(18) - minutes(1), 10},
                        {hours(18), 100},
                        {hours(22), 0},
                        {hours(24) - minutes(1), 0}};
  for (const Case& c : cases) {
    CAPTURE(c.time.count());
    CHECK(rate_at(plan, c.time) == c.rate);
  }
}

TEST_CASE("mirror/bandwidth: bytes take their time, and an idle time is not saved up") {
  FakePauser pauser;
  minutes now = hours(12);
  Bandwidth bandwidth({.bytes_per_second = 1'000, .windows = {{hours(1), hours(2), 0}}}, pauser,
                      [&] { return now; });
  bandwidth.took(500, {});
  CHECK(pauser.waited() == Milliseconds(500));
  bandwidth.took(1'500, {});
  CHECK(pauser.waited() == Milliseconds(2'000));
  pauser.pause(pauser.now() + std::chrono::seconds(60), {});
  bandwidth.took(1'000, {});
  CHECK(pauser.waited() == Milliseconds(63'000));
  now = hours(1);
  bandwidth.took(1'000'000'000, {});
  CHECK(pauser.waited() == Milliseconds(63'000));
  std::stop_source stop;
  stop.request_stop();
  now = hours(12);
  CHECK_THROWS_AS(bandwidth.took(1, stop.get_token()), Error);
}

TEST_CASE("mirror/bandwidth: a sync keeps to its upstream's limit") {
  SyncFixture fixture;
  FakePauser clock;
  SyncRequest request = fixture.request();
  request.upstream.bandwidth =
      std::make_shared<Bandwidth>(BandwidthPlan{.bytes_per_second = 100'000}, clock);
  fixture.run(request);
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
  const auto least = distinct_bytes(sample_files()) / 100;  // in milliseconds
  CHECK(clock.waited().count() >= static_cast<std::int64_t>(least));
  CHECK(clock.waited().count() < static_cast<std::int64_t>(least + least / 5));
}

}  // namespace
}  // namespace holdfast::mirror
