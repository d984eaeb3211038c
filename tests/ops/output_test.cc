#include "ops/output.h"

#include <doctest/doctest.h>

namespace holdfast::ops {

TEST_CASE("ops/output: bytes are shown in decimal units") {
  struct Case {
    std::uint64_t bytes;
    const char* text;
  };

  const Case cases[] = {{0, "0 B"},
                        {999, "999 B"},
                        {1000, "1.0 kB"},
                        {999'949, "999.9 kB"},
                        {999'950, "1.0 MB"},
                        {1'500'000'000, "1.5 GB"},
                        {18'446'744'073'709'551'615ULL, "18.4 EB"}};
  for (const Case& c : cases) CHECK(format_bytes(c.bytes) == c.text);
}

TEST_CASE("ops/output: durations read like a clock") {
  CHECK(format_duration(std::chrono::seconds(9)) == "0:09");
  CHECK(format_duration(std::chrono::seconds(75)) == "1:15");
  CHECK(format_duration(std::chrono::seconds(3723)) == "1:02:03");
}

TEST_CASE("ops/output: a progress line shows share, rate and what is left") {
  const storage::Progress progress{.phase = "downloading",
                                   .done_bytes = 500'000'000,
                                   .total_bytes = 1'000'000'000,
                                   .done_items = 3,
                                   .total_items = 12};
  CHECK(progress_line(progress, 50e6, 200) ==
        "downloading [############------------]  50 %  500.0 MB of 1.0 GB  50.0 MB/s  0:10 left  "
        "3/12");
  CHECK(progress_line(progress, 50e6, 20).size() == 20);
}

TEST_CASE("ops/output: a wait that upstream announced is shown") {
  const storage::Progress progress{.phase = "listing", .note = "upstream asks to wait 12 s"};
  CHECK(progress_line(progress, 0, 200) == "listing  upstream asks to wait 12 s");
}

TEST_CASE("ops/output: the rate settles on a steady flow and restarts with a phase") {
  RateMeter meter;
  RateMeter::Instant now{};
  for (std::uint64_t second = 0; second <= 20; ++second) {
    meter.update(second * 1000, now);
    now += std::chrono::seconds(1);
  }
  CHECK(meter.bytes_per_second() == doctest::Approx(1000));
  meter.update(0, now);
  CHECK(meter.bytes_per_second() == 0);
}

}  // namespace holdfast::ops
