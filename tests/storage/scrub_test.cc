#include <filesystem>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/care.h"
#include "tests/storage/care_fixture.h"
#include "tests/storage/error_kind.h"

namespace holdfast::tests {
namespace {

struct ScrubFixture : CareFixture {
  std::vector<std::string> found;
  std::uint64_t paced = 0;

  Json::Object scrub() {
    return store->care().scrub({.pace = [this](std::uint64_t bytes) { paced += bytes; },
                                .found =
                                    [this](const Json::Object& finding) {
                                      found.push_back(finding.find("name")->as_string("name"));
                                    }},
                               context);
  }
};

TEST_CASE_FIXTURE(ScrubFixture,
                  "storage/scrub: reads every byte once a cycle, at the caller's pace") {
  put(kSmall, 1);
  put(3 * kLarge, 2);
  const Json::Object result = scrub();
  CHECK(result.find("objects")->as_uint() == 2);
  CHECK(result.find("bytes")->as_uint() == kSmall + 3 * kLarge);
  CHECK(paced == kSmall + 3 * kLarge);
  const ScrubStatus status = store->care().scrub_status();
  CHECK(status.cycle_started == clock.now());
  CHECK(status.cycle_completed == clock.now());
  pass(std::chrono::hours(1));
  reopen();
  CHECK(store->care().scrub_status().cycle_completed == clock.now() - std::chrono::hours(1));
  scrub();
  CHECK(store->care().scrub_status().cycle_started == clock.now());
  CHECK(store->care().scrub_status().cycle_objects == 2);
}

TEST_CASE_FIXTURE(ScrubFixture,
                  "storage/scrub: a bad object is found, told and kept from readers") {
  const Digest bad = put(kLarge, 1), good = put(kLarge, 2);
  damage(file_of(bad));
  CHECK(scrub().find("findings")->as_uint() == 1);
  CHECK(found == Kinds{to_hex(bad)});
  CHECK(kind_of([&] { store->blobs().open(bad); }) == ErrorKind::Corrupt);
  CHECK(store->blobs().find(good));
  CHECK_FALSE(fs::is_empty(scratch.path() / "quarantine"));
  CHECK(store->care().stats().find("damaged")->as_uint() == 1);
  CHECK(store->care().stats().find("scrub")->find("findings")->as_uint() == 1);
  put(kLarge, 1);  // what the next sync does
  CHECK(scrub().find("findings")->as_uint() == 0);
}

TEST_CASE_FIXTURE(ScrubFixture, "storage/scrub: goes on in the next process where it stopped") {
  constexpr std::size_t kObjects = 20;
  for (std::uint64_t i = 0; i < kObjects; ++i) put(kSmall, i);
  std::size_t pieces = 0;
  const auto stop_at_half = [&](std::uint64_t) {
    if (++pieces == kObjects / 2) context.source.request_stop();
  };
  CHECK(kind_of([&] { store->care().scrub({.pace = stop_at_half}, context); }) ==
        ErrorKind::Cancelled);
  const Time started = clock.now();
  pass(std::chrono::hours(1));
  reopen();
  context.source = {};
  CHECK(scrub().find("objects")->as_uint() == kObjects);
  CHECK(paced == kObjects / 2 * kSmall);
  CHECK(store->care().scrub_status().cycle_started == started);
}

}  // namespace
}  // namespace holdfast::tests
