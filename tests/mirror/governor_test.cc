#include "mirror/governor.h"

#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

using std::chrono::seconds;

Headers rate_limit(std::uint64_t remaining, std::uint64_t reset) {
  Headers headers;
  headers.add("ratelimit",
              "\"api\";r=" + std::to_string(remaining) + ";t=" + std::to_string(reset));
  return headers;
}

constexpr SteadyTime kStart{};

// Sends one request that is answered so.
void send(Governor& governor, SteadyTime now, const Headers& answer) {
  REQUIRE_FALSE(governor.admit(Bucket::Api, now));
  governor.heed(Bucket::Api, answer, now);
  governor.ended(Bucket::Api, true);
}

}  // namespace

TEST_CASE("mirror/governor: the first request of a window goes alone") {
  Governor governor;
  REQUIRE_FALSE(governor.admit(Bucket::Api, kStart));
  CHECK(governor.admit(Bucket::Api, kStart) == SteadyTime::max());
  CHECK_FALSE(governor.admit(Bucket::Resolvers, kStart));  // a window of its own
  governor.heed(Bucket::Api, rate_limit(4, 60), kStart);
  governor.ended(Bucket::Api, true);
  CHECK_FALSE(governor.admit(Bucket::Api, kStart));
  CHECK_FALSE(governor.admit(Bucket::Api, kStart));
  CHECK(governor.admit(Bucket::Api, kStart) == kStart + seconds(61));
  CHECK(governor.view(Bucket::Api).waits == 1);
}

TEST_CASE("mirror/governor: what is under way counts as spent, old answers give nothing back") {
  Governor governor;
  send(governor, kStart, rate_limit(20, 60));
  for (int i = 0; i < 5; ++i) REQUIRE_FALSE(governor.admit(Bucket::Api, kStart));
  // The answer to the first of five: the other four may not be counted in its 19, and each may be
  // redirected.
  governor.heed(Bucket::Api, rate_limit(19, 60), kStart);
  governor.ended(Bucket::Api, true);
  CHECK(governor.view(Bucket::Api).remaining == 11);
  // Somebody else uses the account, too.
  governor.heed(Bucket::Api, rate_limit(3, 60), kStart);
  governor.ended(Bucket::Api, true);
  CHECK(governor.view(Bucket::Api).remaining == 0);
}

TEST_CASE(
    "mirror/governor: a redirect that did not come gives its share back, a broken request not") {
  Governor governor;
  send(governor, kStart, rate_limit(4, 60));
  REQUIRE_FALSE(governor.admit(Bucket::Api, kStart));
  CHECK(governor.view(Bucket::Api).remaining == 2);
  governor.heed(Bucket::Api, rate_limit(3, 60), kStart);
  governor.ended(Bucket::Api, true);
  CHECK(governor.view(Bucket::Api).remaining == 3);
  REQUIRE_FALSE(governor.admit(Bucket::Api, kStart));
  governor.ended(Bucket::Api, false);
  CHECK(governor.view(Bucket::Api).remaining == 1);
  CHECK(governor.admit(Bucket::Api, kStart) == kStart + seconds(61));
}

TEST_CASE("mirror/governor: a window's end opens the next one, with one request first") {
  Governor governor;
  send(governor, kStart, rate_limit(0, 60));
  CHECK(governor.admit(Bucket::Api, kStart + seconds(60)) == kStart + seconds(61));
  REQUIRE_FALSE(governor.admit(Bucket::Api, kStart + seconds(61)));
  CHECK(governor.admit(Bucket::Api, kStart + seconds(61)) == SteadyTime::max());
  governor.ended(Bucket::Api, false);  // it broke: the next one finds out
  CHECK_FALSE(governor.admit(Bucket::Api, kStart + seconds(61)));
}

TEST_CASE("mirror/governor: an upstream without limits is not slowed down") {
  Governor governor;
  send(governor, kStart, Headers());
  for (int i = 0; i < 1000; ++i) REQUIRE_FALSE(governor.admit(Bucket::Api, kStart));
  governor.close(Bucket::Api, kStart + seconds(5));  // but what it asks for is obeyed
  CHECK(governor.admit(Bucket::Api, kStart) == kStart + seconds(5));
}

}  // namespace holdfast::mirror
