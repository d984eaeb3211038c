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

TEST_CASE_FIXTURE(ScrubFixture,
                  "storage/scrub: an object that a stop cuts off counts once in its cycle") {
  constexpr std::size_t kBytes = 4 << 20;
  put(kBytes, 1);
  const auto stop = [&](std::uint64_t) { context.source.request_stop(); };
  CHECK(kind_of([&] { store->care().scrub({.pace = stop}, context); }) == ErrorKind::Cancelled);
  CHECK(store->care().scrub_status().cycle_bytes == 0);
  reopen();
  context.source = {};
  CHECK(scrub().find("bytes")->as_uint() == kBytes);
}

TEST_CASE_FIXTURE(ScrubFixture,
                  "storage/scrub: small bytes that the catalog cannot read are found and heal") {
  constexpr std::size_t kBytes = 10 * kSmall;  // large enough to lie in a blob file of RocksDB
  const Digest bad = put(kBytes, 1);
  publish("owner/name", "one", {bad});
  reopen();  // which writes the log out
  store.reset();
  damage_value(scratch.path() / "catalog", random_bytes(kBytes, 1));
  open();
  CHECK(store->blobs().find(bad));
  CHECK(scrub().find("findings")->as_uint() == 1);
  CHECK_FALSE(store->blobs().find(bad));  // so a sync brings it again
  put(kBytes, 1);
  CHECK(scrub().find("findings")->as_uint() == 0);
  CHECK(read_object(store->blobs(), bad, kBytes) == as_text(random_bytes(kBytes, 1)));
}

TEST_CASE_FIXTURE(ScrubFixture,
                  "storage/blob_store: a put heals small bytes that nobody has found unreadable") {
  constexpr std::size_t kBytes = 10 * kSmall;
  const Digest bad = put(kBytes, 1);
  reopen();
  store.reset();
  damage_value(scratch.path() / "catalog", random_bytes(kBytes, 1));
  open();
  put(kBytes, 1);
  CHECK(read_object(store->blobs(), bad, kBytes) == as_text(random_bytes(kBytes, 1)));
}

}  // namespace
}  // namespace holdfast::tests
