#include <doctest/doctest.h>

#include "mirror/internal/upstream_watch.h"
#include "mirror/mirror.h"
#include "storage/base/error.h"
#include "tests/mirror/mirror_fixture.h"

namespace holdfast::mirror {
namespace {

using fakes::Fault;

const storage::RepoId kRepo{.owner = "org", .name = "m"};
const MirrorRule kRule{.repo = "org/m", .revisions = {"*"}};

bool is_held(MirrorFixture& fixture, const GitOid& commit) {
  return fixture.store->catalog().find_revision(kRepo, commit).has_value();
}

std::vector<std::string> events_shown(MirrorFixture& fixture) {
  const auto fact = fixture.store->catalog().find_fact(kRepo, {}, "mirror");
  std::vector<std::string> out;
  if (!fact) return out;
  for (const Json& event : fact->find("events")->as_array("events")) {
    out.push_back(event.find("kind")->as_string("kind"));
  }
  return out;
}

TEST_CASE("mirror/events: every kind has a name of its own that reads back") {
  for (int i = 0; i < 15; ++i) {
    const auto kind = static_cast<EventKind>(i);
    CAPTURE(std::string(to_text(kind)));
    CHECK(parse_event_kind(to_text(kind)) == kind);
  }
  CHECK_FALSE(parse_event_kind("sync"));
}

TEST_CASE("mirror/mirror: a branch that goes on is no event, one that was rewritten is") {
  MirrorFixture fixture({.genuine_commits = false, .history = true});
  const GitOid first = fixture.add("org/m", "one");
  fixture.run(kRule);
  fixture.add("org/m", "two");
  const GitOid third = fixture.add("org/m", "three");
  fixture.run(kRule);
  CHECK(fixture.resolve("org/m") == third);
  CHECK(fixture.events.take("ref").empty());
  // A commit without the others in its history.
  const GitOid other = fixture.add("org/m", "other", "refs/heads/side");
  fixture.hub.set_ref("org/m", "refs/heads/side", std::nullopt);
  fixture.hub.set_ref("org/m", "refs/heads/main", other);
  fixture.run(kRule);
  CHECK(fixture.resolve("org/m") == other);
  const auto rewritten = fixture.events.take("ref-rewritten");
  REQUIRE(rewritten.size() == 1);
  CHECK(rewritten[0].find(to_hex(third)) != std::string::npos);
  // What was held before still is.
  CHECK(is_held(fixture, first));
  CHECK(is_held(fixture, third));
  // Back to where it was: rewritten again.
  fixture.hub.set_ref("org/m", "refs/heads/main", first);
  fixture.run(kRule);
  CHECK(fixture.resolve("org/m") == first);
  CHECK(fixture.events.take("ref-rewritten").size() == 1);
}

TEST_CASE("mirror/mirror: a tag that moves is an event") {
  MirrorFixture fixture({.genuine_commits = false, .history = true});
  fixture.add("org/m", "one", "refs/tags/v1");
  fixture.run(kRule);
  fixture.add("org/m", "two", "refs/tags/v1");
  fixture.run(kRule);
  CHECK(fixture.events.take("ref-rewritten").size() == 1);
}

TEST_CASE("mirror/mirror: what is deleted upstream stays here and is an event once") {
  MirrorFixture fixture;
  const GitOid main = fixture.add("org/m", "one");
  const GitOid tag = fixture.add("org/m", "two", "refs/tags/v1");
  fixture.run(kRule);
  fixture.hub.set_ref("org/m", "refs/tags/v1", std::nullopt);
  fixture.run(kRule);
  fixture.run(kRule);
  CHECK(fixture.events.take("ref-deleted").size() == 1);
  CHECK(fixture.resolve("org/m", "v1") == tag);
  fixture.hub.set_ref("org/m", "refs/tags/v1", tag);
  fixture.run(kRule);
  CHECK(fixture.events.take("ref-restored").size() == 1);
  fixture.hub.remove_repository("org/m");
  for (int i = 0; i < 2; ++i) {
    const Json::Object result = fixture.run(kRule);
    CHECK(number_of(result, "holes") == 0);
    REQUIRE(result.find("repositories")->as_array().size() == 1);
    CHECK_FALSE(result.find("repositories")->as_array()[0].find("gone") == nullptr);
  }
  CHECK(fixture.events.take("repository-gone").size() == 1);
  CHECK(fixture.resolve("org/m") == main);
  CHECK(fixture.store->catalog().holes().empty());
  fixture.add("org/m", "one");
  fixture.run(kRule);
  CHECK(fixture.events.take("repository-back").size() == 1);
  CHECK(events_shown(fixture) == std::vector<std::string>{"sync-done", "sync-done", "ref-deleted",
                                                          "ref-restored", "repository-gone",
                                                          "repository-back", "ref-deleted"});
}

TEST_CASE("mirror/mirror: a full look at an organisation finds what is not listed any more") {
  MirrorFixture fixture;
  fixture.add("org/m", "one");
  fixture.add("org/n", "two");
  fixture.run({.repo = "org/*"});
  fixture.hub.remove_repository("org/m");
  fixture.run({.repo = "org/*"}, std::chrono::system_clock::now());
  CHECK(fixture.events.take("repository-gone").empty());
  fixture.run({.repo = "org/*"});
  CHECK(fixture.events.take("repository-gone").size() == 1);
  CHECK(fixture.resolve("org/m"));
}

TEST_CASE("mirror/mirror: name, gating and licence that change are events, with what they were") {
  MirrorFixture fixture({.genuine_commits = false, .history = true});
  fixture.add("org/m", "one");
  const auto set = [&](const char* license, const char* gated) {
    fixture.hub.set_info("org/m",
                         {{"cardData", Json::Object{{"license", license}}}, {"gated", gated}});
  };
  set("mit", "auto");
  fixture.run(kRule);
  CHECK(fixture.events.take("gating").empty());
  set("proprietary", "manual");
  fixture.add("org/m", "two");
  fixture.run(kRule);
  const auto events = fixture.events.take();
  REQUIRE(events.size() == 3);
  CHECK(events[0] == R"(gating-changed model/org/m {"before":"auto","after":"manual"})");
  CHECK(events[1] == R"(license-changed model/org/m {"before":"mit","after":"proprietary"})");
  CHECK(events[2].starts_with("sync-done"));
  fixture.hub.set_info("org/m", {{"id", "new/name"}});
  fixture.add("org/m", "three");
  fixture.run(kRule);
  CHECK(fixture.events.take("repository-renamed") ==
        std::vector<std::string>{
            R"(repository-renamed model/org/m {"before":"org/m","after":"new/name"})"});
}

TEST_CASE(
    "mirror/mirror: only the newest revisions of each ref are kept, and all that a ref names") {
  MirrorFixture fixture;
  MirrorRule rule = kRule;
  rule.keep = 2;
  std::vector<GitOid> main;
  const GitOid tagged = fixture.add("org/m", "tagged", "refs/tags/v1");
  for (const char* const word : {"one", "two", "three", "four"}) {
    main.push_back(fixture.add("org/m", word));
    fixture.run(rule);
  }
  CHECK_FALSE(is_held(fixture, main[0]));
  CHECK_FALSE(is_held(fixture, main[1]));
  CHECK(is_held(fixture, main[2]));
  CHECK(is_held(fixture, main[3]));
  CHECK(is_held(fixture, tagged));
  CHECK(fixture.events.take("revision-expired").size() == 2);
  // One that a ref names is kept, however old; and so is one that was asked for by hand.
  fixture.hub.set_ref("org/m", "refs/heads/old", main[2]);
  SyncRequest by_hand{.repo = kRepo, .revision = to_hex(main[0])};
  by_hand.upstream = fixture.upstream(fixture.hub);
  sync(by_hand, *fixture.store, fixture.context);
  for (const char* const word : {"five", "six", "seven"}) {
    fixture.add("org/m", word);
    fixture.run(rule);
  }
  CHECK(is_held(fixture, main[2]));
  CHECK_FALSE(is_held(fixture, main[3]));
  CHECK(is_held(fixture, main[0]));
}

TEST_CASE("mirror/mirror: the next upstream is asked when one is down, and the evidence names it") {
  for (const char* const where : {"/refs", "/tree/", "/objects/"}) {
    CAPTURE(std::string(where));
    MirrorFixture fixture;
    fakes::HubImposter second;
    fixture.add("org/m", "one");
    const GitOid commit = second.add_revision("org/m", MirrorFixture::files_of("one"));
    fixture.hub.script({.fault = Fault::Busy, .match = where, .count = -1});
    MirrorRequest request = fixture.request(kRule);
    request.upstreams.push_back(fixture.upstream(second, "second"));
    CHECK(number_of(fixture.run(request), "holes") == 0);
    CHECK(fixture.resolve("org/m") == commit);
    const auto events = fixture.events.take("failed-over");
    REQUIRE(events.size() == 1);
    CHECK(events[0].find(R"("from":"hub","to":"second")") != std::string::npos);
    const auto evidence = fixture.store->catalog().find_evidence(kRepo, commit);
    REQUIRE(evidence);
    CHECK(text_of(evidence->record, "endpoint") == second.endpoint());
  }
}

TEST_CASE("mirror/mirror: a refusal is no reason to ask another upstream") {
  MirrorFixture fixture;
  fakes::HubImposter second;
  second.add_revision("org/m", MirrorFixture::files_of("one"));
  MirrorRequest request = fixture.request(kRule);
  request.upstreams.push_back(fixture.upstream(second, "second"));
  CHECK(number_of(fixture.run(request), "holes") == 1);
  CHECK(second.requests() == 0);
}

TEST_CASE("mirror/mirror: a fallback that is behind moves no ref back") {
  MirrorFixture fixture({.genuine_commits = false, .history = true});
  fakes::HubImposter second({.genuine_commits = false, .history = true});
  const GitOid old = fixture.add("org/m", "one");
  CHECK(second.add_revision("org/m", MirrorFixture::files_of("one")) == old);
  MirrorRequest request = fixture.request({.repo = "org/m"});
  request.upstreams.push_back(fixture.upstream(second, "second"));
  fixture.run(request);
  const GitOid next = fixture.add("org/m", "two");
  fixture.run(request);
  fixture.hub.script({.fault = Fault::Busy, .match = "/refs", .count = -1});
  CHECK(number_of(fixture.run(request), "holes") == 0);
  CHECK(fixture.resolve("org/m") == next);
  CHECK(fixture.events.take("ref").empty());
}

TEST_CASE(
    "mirror/mirror: what a fallback does not have, or another hub, is not what upstream deleted") {
  MirrorFixture fixture;
  fakes::HubImposter second;
  fixture.add("org/m", "one");
  fixture.add("org/m", "two", "refs/tags/v1");
  fixture.hub.set_info("org/m", {{"gated", "manual"}});
  second.add_revision("org/m", MirrorFixture::files_of("three"));
  fixture.run(kRule);
  fixture.events.take();
  MirrorRequest request = fixture.request(kRule);
  request.upstreams.push_back(fixture.upstream(second, "second"));
  fixture.hub.script({.fault = Fault::Busy, .match = "/refs", .count = -1});
  fixture.run(request);
  second.remove_repository("org/m");
  CHECK(number_of(fixture.run(request), "holes") == 1);
  fixture.hub.clear_scripts();
  second.add_revision("org/m", MirrorFixture::files_of("four"));
  SyncRequest other{.repo = kRepo};
  other.upstream = fixture.upstream(second, "other");
  other.events = &fixture.events;
  fakes::HubImposter third;
  third.add_revision("org/m", MirrorFixture::files_of("five"));
  other.upstream.endpoint = third.endpoint();
  sync(other, *fixture.store, fixture.context);
  for (const std::string& event : fixture.events.take()) {
    CAPTURE(event);
    CHECK_FALSE(event.starts_with("ref-deleted"));
    CHECK_FALSE(event.starts_with("gating-changed"));
    CHECK_FALSE(event.starts_with("repository-gone"));
  }
}

TEST_CASE("mirror/mirror: what the first listed and a fallback has not is a hole, not passed by") {
  MirrorFixture fixture({.genuine_commits = false, .history = true});
  fakes::HubImposter second({.genuine_commits = false, .history = true});
  const GitOid old = fixture.add("org/m", "one");
  second.add_revision("org/m", MirrorFixture::files_of("one"));
  MirrorRequest request = fixture.request({.repo = "org/*"});
  request.upstreams.push_back(fixture.upstream(second, "second"));
  fixture.run(request);
  REQUIRE(fixture.resolve("org/m") == old);
  const GitOid next = fixture.add("org/m", "two");
  fixture.hub.script({.fault = Fault::Busy, .match = "/refs", .count = -1});
  CHECK(number_of(fixture.run(request), "holes") == 1);
  const auto holes = fixture.store->catalog().holes();
  REQUIRE(holes.size() == 1);
  CHECK(holes[0].commit == next);
  CHECK(fixture.resolve("org/m") == old);
  fixture.hub.clear_scripts();
  // Long after the change, for its hole alone.
  CHECK(number_of(fixture.run(request, std::chrono::system_clock::now()), "holes") == 0);
  CHECK(fixture.resolve("org/m") == next);
}

TEST_CASE("mirror/mirror: a fallback moves a ref forward, and back not even to what is new here") {
  MirrorFixture fixture({.genuine_commits = false, .history = true});
  fakes::HubImposter behind({.genuine_commits = false, .history = true});
  fakes::HubImposter ahead({.genuine_commits = false, .history = true});
  for (const char* const word : {"one", "two"}) {
    fixture.add("org/m", word);
    ahead.add_revision("org/m", MirrorFixture::files_of(word));
  }
  const GitOid old = behind.add_revision("org/m", MirrorFixture::files_of("one"));
  const GitOid next = ahead.add_revision("org/m", MirrorFixture::files_of("three"));
  MirrorRequest request = fixture.request({.repo = "org/m", .keep = 1});
  fixture.run(request);
  const auto held = fixture.resolve("org/m");
  REQUIRE(held);
  fixture.hub.script({.fault = Fault::Busy, .match = "/refs", .count = -1});
  request.upstreams.push_back(fixture.upstream(behind, "behind"));
  CHECK(number_of(fixture.run(request), "holes") == 0);
  CHECK(fixture.resolve("org/m") == held);
  CHECK(is_held(fixture, *held));
  CHECK_FALSE(is_held(fixture, old));
  request.upstreams[1] = fixture.upstream(ahead, "ahead");
  CHECK(number_of(fixture.run(request), "holes") == 0);
  CHECK(fixture.resolve("org/m") == next);
}

TEST_CASE("mirror/mirror: what a fallback has and nobody can place is a hole") {
  MirrorFixture fixture({.genuine_commits = false, .history = true});
  fakes::HubImposter other({.genuine_commits = false, .history = true});
  const GitOid held = fixture.add("org/m", "one");
  for (const char* const word : {"x", "y"})
    other.add_revision("org/m", MirrorFixture::files_of(word));
  const GitOid stray = other.add_revision("org/m", MirrorFixture::files_of("z"));
  MirrorRequest request = fixture.request({.repo = "org/m"});
  fixture.run(request);
  fixture.hub.script({.fault = Fault::Busy, .match = "/refs", .count = -1});
  request.upstreams.push_back(fixture.upstream(other, "other"));
  CHECK(number_of(fixture.run(request), "holes") == 1);
  CHECK(fixture.store->catalog().holes()[0].commit == stray);
  CHECK(fixture.resolve("org/m") == held);
  request.force = true;
  CHECK(number_of(fixture.run(request), "holes") == 0);
  CHECK(fixture.resolve("org/m") == stray);
}

TEST_CASE("mirror/mirror: retention leaves alone what is wanted by its commit") {
  struct Case {
    const char* name;
    bool by_rule;
  };

  for (const Case& c : {Case{"the rule names it", true}, Case{"asked for by hand", false}}) {
    CAPTURE(c.name);
    MirrorFixture fixture;
    const GitOid first = fixture.add("org/m", "one");
    MirrorRule rule{.repo = "org/m", .revisions = {"main"}, .keep = 1};
    if (c.by_rule) rule.revisions.push_back(to_hex(first));
    fixture.run(rule);
    if (!c.by_rule) {
      SyncRequest by_hand{.repo = kRepo, .revision = to_hex(first)};
      by_hand.upstream = fixture.upstream(fixture.hub);
      sync(by_hand, *fixture.store, fixture.context);
    }
    const GitOid second = fixture.add("org/m", "two");
    fixture.run(rule);
    fixture.add("org/m", "three");
    fixture.run(rule);
    CHECK(is_held(fixture, first));
    CHECK_FALSE(is_held(fixture, second));
  }
}

TEST_CASE("mirror/watch: two syncs of one repository take nothing from each other's memory") {
  MirrorFixture fixture;
  UpstreamWatch slow(fixture.store->catalog(), kRepo, fixture.events);
  UpstreamWatch quick(fixture.store->catalog(), kRepo, fixture.events);
  const GitOid first = fixture.add("org/m", "one"), second = fixture.add("org/m", "two");
  slow.skipped("v1", first, "too large");
  quick.ref_moved({.name = "refs/heads/main", .commit = first}, std::nullopt, false);
  quick.ref_moved({.name = "refs/heads/main", .commit = second}, first, true);
  quick.save();
  slow.save();
  CHECK(events_shown(fixture) == std::vector<std::string>{"ref-rewritten", "sync-skipped"});
  const UpstreamWatch both(fixture.store->catalog(), kRepo, fixture.events);
  CHECK(both.was_left("refs/heads/main", first));
  CHECK(both.beyond(1, {}) == std::vector<GitOid>{first});
  CHECK(both.beyond(1, {first}).empty());
}

TEST_CASE("mirror/mirror: what was published before a stop is remembered") {
  MirrorFixture fixture({.genuine_commits = false, .history = true});
  const MirrorRule rule{.repo = "org/m", .revisions = {"main", "v1"}};
  const GitOid first = fixture.add("org/m", "one");
  fixture.add("org/m", "tagged", "refs/tags/v1");
  fixture.run(rule);
  fixture.add("org/m", "two");
  const GitOid tag = fixture.add("org/m", "moved", "refs/tags/v1");
  fixture.hub.script({.fault = Fault::Act, .match = "/tree/" + to_hex(tag), .action = [&] {
                        fixture.context.source.request_stop();
                      }});
  CHECK_THROWS_AS(fixture.run(rule), Error);
  const UpstreamWatch watch(fixture.store->catalog(), kRepo, fixture.events);
  CHECK(watch.was_left("refs/heads/main", first));
}

TEST_CASE("mirror/sync: by hand the next upstream is asked too, and the result says who answered") {
  SyncFixture fixture;
  SyncRequest request = fixture.request();
  request.fallbacks = {request.upstream};
  request.fallbacks[0].name = "second";
  request.upstream.name = "first";
  request.upstream.endpoint = "http://127.0.0.1:1";
  CHECK(text_of(fixture.run(request), "upstream") == "second");
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
}

}  // namespace
}  // namespace holdfast::mirror
