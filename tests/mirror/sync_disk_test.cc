// Syncs on a disk that fills up, at every stage.
#include <cstdlib>

#include <doctest/doctest.h>

#include "mirror/mirror.h"
#include "storage/base/error.h"
#include "storage/internal/local_store.h"
#include "tests/fakes/step_disk.h"
#include "tests/mirror/mirror_fixture.h"

namespace holdfast::mirror {
namespace {

using tests::Fault;
using tests::StepDisk;

// Steps between two stages that are tried: every one in the long configuration.
int stride() { return std::getenv("HOLDFAST_LONG") != nullptr ? 1 : 5; }

// One sync that meets a full disk at that step, and one with room again. Returns what is wrong, or
// "", and sets `struck` to false when the sync has fewer steps.
std::string try_full_disk(const fakes::HubImposter& hub, const GitOid& commit, int step,
                          bool& struck) {
  const TempDir temp;
  StepDisk disk;
  FakePauser pauser;
  FakeContext context;
  const auto open = [&] {
    return storage::open_local_store({.directory = temp.path() / "store"}, disk);
  };
  auto store = open();
  SyncRequest request{.repo = {.owner = "org", .name = "m"}};
  request.upstream.endpoint = hub.endpoint();
  request.upstream.tuning.pauser = &pauser;
  request.upstream.tuning.part_bytes = 100'000;
  disk.arm(Fault::NoSpace, step);
  std::string failure;
  try {
    sync(request, *store, context);
  } catch (const Error& error) {
    failure = error.what();
    if (error.kind() != ErrorKind::NoSpace) {
      return "kind is " + std::string(to_text(error.kind())) + ": " + failure;
    }
  }
  struck = disk.struck();
  const bool published = store->catalog().find_repository(request.repo).has_value();
  if (failure.empty() && !published) return "a full disk went unnoticed";
  if (published) {
    // Only what comes after the publication may have failed.
    if (const auto wrong = check_mirrored(*store, commit, sample_files()); !wrong.empty()) {
      return "half published: " + wrong;
    }
  }
  disk.heal();
  store.reset();
  store = open();
  sync(request, *store, context);
  return check_mirrored(*store, commit, sample_files());
}

TEST_CASE("mirror/sync: a disk that is full at any stage is named, and nothing is half published") {
  fakes::HubImposter hub;
  const GitOid commit = hub.add_revision("org/m", sample_files());
  int step = 1;
  for (bool struck = true; struck; step += stride()) {
    CAPTURE(step);
    REQUIRE(try_full_disk(hub, commit, step, struck) == "");
  }
  CHECK(step > 40);
}

TEST_CASE("mirror/mirror: where not even a hole can be written, nothing has passed") {
  StepDisk disk;  // outlives the store
  MirrorFixture fixture;
  fixture.add("org/m", "one");
  const TempDir temp;
  fixture.store.reset();
  fixture.store = storage::open_local_store({.directory = temp.path() / "store"}, disk);
  disk.arm(Fault::NoSpace, 1);
  CHECK_THROWS_AS(fixture.run({.repo = "org/m"}), Error);
  disk.heal();
  fixture.store.reset();
  fixture.store = storage::open_local_store({.directory = temp.path() / "store"}, disk);
  CHECK(number_of(fixture.run({.repo = "org/m"}), "holes") == 0);
  CHECK(fixture.resolve("org/m"));
}

}  // namespace
}  // namespace holdfast::mirror
