// Refs that git cannot keep beside each other ("dev" and "dev/x"), and a default branch that moves.
#include "mirror/internal/ref_move.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "mirror/internal/upstream_watch.h"
#include "mirror/mirror.h"
#include "storage/base/error.h"
#include "storage/internal/local_store.h"
#include "tests/fakes/step_disk.h"
#include "tests/mirror/mirror_fixture.h"

namespace holdfast::mirror {
namespace {

using fakes::Fault;

const storage::RepoId kRepo{.owner = "org", .name = "m"};
const MirrorRule kRule{.repo = "org/m", .revisions = {"*"}};

struct Pair {
  const char* name;
  std::string old_ref, new_ref;
};

const Pair kPairs[] = {
    {"a branch becomes a folder", "refs/heads/dev", "refs/heads/dev/x"},
    {"a folder becomes a branch", "refs/heads/dev/x", "refs/heads/dev"},
    {"of tags, two levels", "refs/tags/v1/rc/2", "refs/tags/v1"},
};

bool is_held(MirrorFixture& fixture, const GitOid& commit) {
  return fixture.store->catalog().find_revision(kRepo, commit).has_value();
}

// A repository whose `old_ref` is mirrored. Returns what that names.
GitOid mirror_old(MirrorFixture& fixture, const Pair& pair) {
  fixture.add("org/m", "main");
  const GitOid commit = fixture.add("org/m", "old", pair.old_ref);
  fixture.run(kRule);
  REQUIRE(fixture.resolve("org/m", pair.old_ref) == commit);
  fixture.events.take();
  return commit;
}

TEST_CASE(
    "mirror/ref_move: a ref that upstream deleted makes way for one that cannot be beside it") {
  for (const Pair& pair : kPairs) {
    CAPTURE(pair.name);
    MirrorFixture fixture;
    const GitOid old_commit = mirror_old(fixture, pair);
    fixture.hub.set_ref("org/m", pair.old_ref, std::nullopt);
    const GitOid new_commit = fixture.add("org/m", "new", pair.new_ref);
    CHECK(number_of(fixture.run(kRule), "holes") == 0);
    CHECK(fixture.resolve("org/m", pair.new_ref) == new_commit);
    CHECK_FALSE(fixture.resolve("org/m", pair.old_ref));
    CHECK(is_held(fixture, old_commit));
    CHECK(fixture.store->catalog().holes().empty());
    const auto events = fixture.events.take();
    REQUIRE(events.size() == 3);
    CHECK(events[0].starts_with("ref-deleted"));
    CHECK(events[1] == "ref-dropped model/org/m {\"ref\":\"" + pair.old_ref + "\",\"before\":\"" +
                           to_hex(old_commit) + "\",\"for\":\"" + pair.new_ref + "\"}");
    CHECK(events[2].starts_with("sync-done"));
    fixture.run(kRule);
    CHECK(fixture.events.take().empty());
    // And back, to the commit that is here still.
    fixture.hub.set_ref("org/m", pair.new_ref, std::nullopt);
    fixture.hub.set_ref("org/m", pair.old_ref, old_commit);
    fixture.hub.reset_counters();
    CHECK(number_of(fixture.run(kRule), "holes") == 0);
    CHECK(fixture.hub.file_bytes_sent() == 0);
    CHECK(fixture.resolve("org/m", pair.old_ref) == old_commit);
    CHECK_FALSE(fixture.resolve("org/m", pair.new_ref));
    CHECK(fixture.events.take("ref-restored").size() == 1);
  }
}

TEST_CASE("mirror/ref_move: what stands in the way and is not known to be deleted is a hole") {
  struct Case {
    const char* name;
    bool upstream_has_it, ours_moved, from_fallback;
  };

  const Case cases[] = {{"an upstream that contradicts git", true, false, false},
                        {"it was moved here, by somebody else", false, true, false},
                        {"a fallback says so", false, false, true}};
  for (const Case& c : cases) {
    CAPTURE(c.name);
    MirrorFixture fixture;
    GitOid old_commit = mirror_old(fixture, kPairs[0]);
    fakes::HubImposter second;
    second.add_revision("org/m", MirrorFixture::files_of("main"));
    MirrorRequest request = fixture.request(kRule);
    request.upstreams.push_back(fixture.upstream(second, "second"));
    fakes::HubImposter& hub = c.from_fallback ? second : fixture.hub;
    const GitOid wanted =
        hub.add_revision("org/m", MirrorFixture::files_of("new"), "refs/heads/dev/x");
    if (!c.upstream_has_it) fixture.hub.set_ref("org/m", "refs/heads/dev", std::nullopt);
    if (c.from_fallback) fixture.hub.script({.fault = Fault::Busy, .match = "", .count = -1});
    if (c.ours_moved) {
      old_commit = *fixture.resolve("org/m");
      const storage::Ref moved{.name = "refs/heads/dev", .commit = old_commit};
      fixture.store->catalog().set_refs(kRepo, {&moved, 1});
    }
    CHECK(number_of(fixture.run(request), "holes") == 1);
    CHECK(fixture.resolve("org/m", "refs/heads/dev") == old_commit);
    CHECK_FALSE(fixture.resolve("org/m", "refs/heads/dev/x"));
    const auto holes = fixture.store->catalog().holes();
    REQUIRE(holes.size() == 1);
    CHECK(holes[0].commit == wanted);
    CHECK(holes[0].reason.find("in its way") != std::string::npos);
    CHECK(fixture.events.take("ref-dropped").empty());
    // Once there is one answer that git allows, the hole closes.
    if (c.ours_moved) continue;
    fixture.hub.clear_scripts();
    fixture.hub.set_ref("org/m", "refs/heads/dev", std::nullopt);
    const GitOid now = c.from_fallback ? fixture.add("org/m", "new", "refs/heads/dev/x") : wanted;
    CHECK(number_of(fixture.run(request), "holes") == 0);
    CHECK(fixture.resolve("org/m", "refs/heads/dev/x") == now);
    CHECK(fixture.store->catalog().holes().empty());
  }
}

// Among those that are kept to be shown.
std::size_t times_told(storage::Store& store, std::string_view kind) {
  const auto fact = store.catalog().find_fact(kRepo, {}, "mirror");
  if (!fact) return 0;
  return static_cast<std::size_t>(std::ranges::count_if(
      fact->find("events")->as_array(),
      [&](const Json& event) { return event.find("kind")->as_string() == kind; }));
}

// From that step of the disk on nothing is written any more, while `old_ref` makes way. Returns
// whether there is such a step.
bool make_way_until(int step, const Pair& pair, bool held) {
  tests::StepDisk disk;  // outlives the store
  MirrorFixture fixture;
  const auto open = [&] {
    fixture.store.reset();
    fixture.store = storage::open_local_store({.directory = fixture.temp.path() / "disk"}, disk);
  };
  open();
  const GitOid old_commit = mirror_old(fixture, pair);
  fixture.hub.set_ref("org/m", pair.old_ref, std::nullopt);
  const GitOid wanted =
      held ? *fixture.resolve("org/m") : fixture.add("org/m", "new", pair.new_ref);
  fixture.hub.set_ref("org/m", pair.new_ref, wanted);
  disk.arm(tests::Fault::NoSpace, step);
  try {
    fixture.run(kRule);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::NoSpace);
  }
  const bool struck = disk.struck();
  disk.heal();
  open();
  const auto old_now = fixture.resolve("org/m", pair.old_ref);
  const auto new_now = fixture.resolve("org/m", pair.new_ref);
  CHECK(((old_now == old_commit && !new_now) || (!old_now && new_now == wanted)));
  CHECK(number_of(fixture.run(kRule), "holes") == 0);
  CHECK(fixture.resolve("org/m", pair.new_ref) == wanted);
  CHECK_FALSE(fixture.resolve("org/m", pair.old_ref));
  CHECK(times_told(*fixture.store, "ref-dropped") == 1);
  fixture.run(kRule);
  CHECK(times_told(*fixture.store, "ref-dropped") == 1);
  return struck;
}

TEST_CASE(
    "mirror/ref_move: cut off anywhere, one of two refs is there, and what made way is told") {
  for (const bool held : {true, false}) {
    CAPTURE(held);
    int step = 1;
    while (make_way_until(step, kPairs[0], held)) {
      ++step;
      CAPTURE(step);
    }
    CHECK(step > 4);
  }
}

TEST_CASE("mirror/ref_move: a ref that stayed after all, and goes later, was not dropped") {
  MirrorFixture fixture;
  const Pair& pair = kPairs[0];
  const GitOid commit = mirror_old(fixture, pair);
  // Told to go, and did not.
  UpstreamWatch watch(fixture.store->catalog(), kRepo, fixture.events);
  watch.listen_to(std::vector{fixture.upstream(fixture.hub)}, 0);
  watch.saw_refs({});
  const storage::Ref old_ref{.name = pair.old_ref, .commit = commit};
  watch.dropping_ref(old_ref, pair.new_ref);
  watch.save();
  fixture.run(kRule);
  CHECK(times_told(*fixture.store, "ref-restored") > 0);
  // Somebody makes the change here by hand, later.
  const std::vector<storage::Ref> by_hand{{.name = pair.old_ref, .commit = {}},
                                          {.name = pair.new_ref, .commit = commit}};
  fixture.store->catalog().change_refs(kRepo, {}, by_hand);
  fixture.hub.set_ref("org/m", pair.old_ref, std::nullopt);
  fixture.hub.set_ref("org/m", pair.new_ref, commit);
  fixture.run(kRule);
  CHECK(times_told(*fixture.store, "ref-dropped") == 0);
}

TEST_CASE("mirror/ref_move: what a dropped ref named is kept as `keep` says") {
  MirrorFixture fixture;
  MirrorRule rule = kRule;
  rule.keep = 1;
  fixture.add("org/m", "main");
  const GitOid first = fixture.add("org/m", "one", "refs/heads/dev");
  fixture.run(rule);
  const GitOid second = fixture.add("org/m", "two", "refs/heads/dev");
  fixture.run(rule);
  fixture.hub.set_ref("org/m", "refs/heads/dev", std::nullopt);
  fixture.add("org/m", "three", "refs/heads/dev/x");
  CHECK(number_of(fixture.run(rule), "holes") == 0);
  CHECK_FALSE(is_held(fixture, first));
  CHECK(is_held(fixture, second));
}

TEST_CASE("mirror/ref_move: a default branch with another name is the default here, too") {
  MirrorFixture fixture;
  const GitOid commit = fixture.add("org/m", "one");
  fixture.run({.repo = "org/m"});
  fixture.hub.set_ref("org/m", "refs/heads/trunk", commit);
  fixture.hub.set_ref("org/m", "refs/heads/main", std::nullopt);
  fixture.hub.reset_counters();
  fixture.run({.repo = "org/m"});
  CHECK(fixture.hub.file_bytes_sent() == 0);
  const auto record = fixture.store->catalog().find_repository(kRepo);
  REQUIRE(record);
  CHECK(record->default_branch == "trunk");
  CHECK(fixture.resolve("org/m", "trunk") == commit);
  fixture.hub.reset_counters();
  fixture.run({.repo = "org/m"});
  CHECK(fixture.hub.requests("/tree/") == 0);
}

TEST_CASE("mirror/ref_move: the default branch makes way in a sync of the default alone") {
  MirrorFixture fixture;
  const GitOid commit = fixture.add("org/m", "one");
  fixture.run({.repo = "org/m"});
  fixture.hub.set_ref("org/m", "refs/heads/main", std::nullopt);
  fixture.hub.set_ref("org/m", "refs/heads/main/x", commit);
  fixture.hub.set_ref("org/m", "refs/heads/other", commit);
  CHECK(number_of(fixture.run(kRule), "holes") == 1);
  CHECK(fixture.resolve("org/m", "HEAD") == commit);
  CHECK(fixture.resolve("org/m", "refs/heads/other") == commit);
  fixture.run({.repo = "org/m"});
  CHECK(fixture.resolve("org/m", "HEAD") == commit);
}

}  // namespace
}  // namespace holdfast::mirror
