#include "web/rate_limit.h"

#include <doctest/doctest.h>

#include "tests/storage/scratch.h"
#include "web/limits.h"

namespace holdfast::web {

using tests::FakeClock;
using namespace std::chrono_literals;

TEST_CASE("web/rate_limit: targets fall into the hub's buckets") {
  struct Case {
    const char* target;
    std::string_view bucket;  // "": not counted
  };

  for (const Case& c : {
           Case{"/api/models/org/tiny", "api"},
           Case{"/-/api/v1/jobs", "api"},
           Case{"/org/tiny/resolve/main/x", "resolvers"},
           Case{"/org/tiny/raw/main/x", "resolvers"},
           Case{"/org/tiny.git/info/refs?service=git-upload-pack", "resolvers"},
           Case{"/org/tiny.git/git-upload-pack", "resolvers"},
           Case{"/org/tiny.git/info/lfs/objects/batch", "resolvers"},
           Case{"/v2/org/tiny/manifests/x", "resolvers"},
           Case{"/", "pages"},
           Case{"/org/tiny?x=/resolve/", "pages"},
           Case{"/-/jobs", "pages"},
           Case{"/-/healthz", ""},
           Case{"/-/static/style.css", ""},
       }) {
    CAPTURE(std::string(c.target));
    const auto bucket = bucket_of(c.target);
    CHECK((bucket ? bucket_name(*bucket) : "") == c.bucket);
  }
}

TEST_CASE("web/rate_limit: a window ends five minutes after its first request") {
  const FakeClock still;
  FakeClock clock;
  RateLimiter limiter({.anonymous = {2, 0, 1}}, clock);
  const auto take = [&](Bucket bucket) { return limiter.take("", "10.0.0.1", bucket); };
  auto taken = take(Bucket::Api);
  REQUIRE(taken);
  CHECK(taken->allowed);
  CHECK(taken->header() == "\"api\";r=1;t=300");
  CHECK(taken->policy() == "\"fixed window\";\"api\";q=2;w=300");
  clock.advance(100s);
  CHECK(take(Bucket::Api)->header() == "\"api\";r=0;t=200");
  const auto refused = take(Bucket::Api);
  CHECK_FALSE(refused->allowed);
  CHECK(refused->header() == "\"api\";r=0;t=200");
  CHECK_FALSE(take(Bucket::Resolvers));  // no limit, no header
  CHECK(take(Bucket::Pages)->allowed);   // a bucket of its own
  clock.advance(199s);
  CHECK_FALSE(take(Bucket::Api)->allowed);
  clock.advance(1s);
  CHECK(take(Bucket::Api)->header() == "\"api\";r=1;t=300");
}

TEST_CASE("web/rate_limit: tokens and addresses are counted apart") {
  FakeClock clock;
  RateLimiter limiter({.anonymous = {1, 1, 1}, .token = {2, 2, 2}}, clock);
  const auto left = [&](std::string_view token, std::string_view address) {
    const auto taken = limiter.take(token, address, Bucket::Api);
    return taken->allowed ? static_cast<int>(taken->left) : -1;
  };
  CHECK(left("", "10.0.0.1") == 0);
  CHECK(left("", "10.0.0.1") == -1);
  CHECK(left("", "10.0.0.2") == 0);
  CHECK(left("t1", "10.0.0.1") == 1);
  CHECK(left("t1", "10.0.0.9") == 0);  // from wherever
  CHECK(left("t1", "10.0.0.1") == -1);
  CHECK(left("t2", "10.0.0.1") == 1);
  CHECK(left("", "2001:db8::1") == 0);
  CHECK(left("", "2001:db8::2") == -1);
  // A token cannot be named so that it counts as an address.
  CHECK(left("10.0.0.3", "") == 1);
  CHECK(left("", "10.0.0.3") == 0);
}

TEST_CASE("web/rate_limit: what is remembered has an end") {
  FakeClock clock;
  RateLimiter limiter({.anonymous = {1, 1, 1}}, clock);
  CHECK(limiter.take("", "first", Bucket::Api)->allowed);
  for (std::size_t i = 1; i < kRateRowsMax; ++i) {
    limiter.take("", "a" + std::to_string(i), Bucket::Api);
  }
  CHECK_FALSE(limiter.take("", "first", Bucket::Api)->allowed);
  CHECK(limiter.take("", "one more", Bucket::Api)->allowed);
  CHECK(limiter.take("", "first", Bucket::Api)->allowed);  // all were forgotten
}

}  // namespace holdfast::web
