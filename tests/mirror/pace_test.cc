#include "mirror/internal/pace.h"

#include <vector>

#include <doctest/doctest.h>

namespace holdfast::mirror {
namespace {

using std::chrono::seconds;

struct Seen {
  int second = 0;
  std::uint64_t bytes = 0;
};

TEST_CASE("mirror/pace: no byte, or a tenth of the rate before, for as long as one waits") {
  struct Case {
    const char* name;
    std::uint64_t earlier = 0;
    bool judges_rate = true;
    std::vector<Seen> seen;
    bool stalled = false;
  };

  const Case cases[] = {
      {"just begun", 0, true, {{14, 0}}, false},
      {"nothing at all", 0, true, {{5, 0}, {15, 0}}, true},
      {"steady", 0, true, {{5, 500}, {10, 1000}, {20, 2000}, {30, 3000}}, false},
      {"silent after a while", 0, true, {{5, 500}, {10, 500}, {19, 500}}, false},
      {"silent for long", 0, true, {{5, 500}, {10, 500}, {20, 500}}, true},
      {"a byte came late", 0, true, {{0, 0}, {14, 1}, {20, 1}, {28, 1}}, false},
      {"at a crawl", 0, true, {{10, 10'000}, {15, 10'100}, {26, 10'200}}, true},
      {"at a fifth", 0, true, {{10, 10'000}, {15, 11'000}, {26, 13'200}}, false},
      {"a crawl on purpose", 0, false, {{10, 10'000}, {15, 10'100}, {26, 10'200}}, false},
      {"a crawl from the start, others were fast", 1000, true, {{8, 80}, {16, 160}}, true},
      {"slow from the start, others were too", 50, true, {{8, 80}, {16, 160}}, false},
      {"an own rate counts more than others'", 1'000'000, true, {{10, 1000}, {26, 2600}}, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const SteadyTime start{seconds(1000)};
    Pace pace({.patience = seconds(15),
               .earlier_bytes_per_second = c.earlier,
               .judges_rate = c.judges_rate},
              start);
    for (const Seen& seen : c.seen) pace.saw(start + seconds(seen.second), seen.bytes);
    CHECK(pace.is_stalled() == c.stalled);
  }
}

}  // namespace
}  // namespace holdfast::mirror
