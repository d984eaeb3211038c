#include "mirror/mirror.h"

#include <algorithm>
#include <atomic>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/mirror/mirror_fixture.h"

namespace holdfast::mirror {
namespace {

using fakes::Fault;

const Json::Array& list_of(const Json::Object& result, std::string_view key) {
  return result.find(key)->as_array(key);
}

std::vector<std::string> paths_held(MirrorFixture& fixture, const std::string& repo) {
  const storage::Catalog& catalog = fixture.store->catalog();
  const auto id = storage::parse_repo_id(repo);
  const auto commit = catalog.resolve(id, "main");
  std::vector<std::string> out;
  if (!commit) return out;
  for (const auto& file : catalog.files(id, *commit, "")) {
    if (file.object) out.push_back(file.path);
  }
  return out;
}

TEST_CASE(
    "mirror/mirror: an organisation arrives whole, datasets apart, and costs little afterwards") {
  MirrorFixture fixture({.page_size = 2});
  const GitOid a = fixture.add("org/a", "one"), b = fixture.add("org/b", "two");
  fixture.add("other/c", "three");
  const GitOid d = fixture.add("datasets/org/d", "four");
  const Json::Object result = fixture.run({.repo = "org/*"});
  CHECK(number_of(result, "listed") == 2);
  CHECK(number_of(result, "holes") == 0);
  CHECK(list_of(result, "repositories").size() == 2);
  CHECK(fixture.resolve("org/a") == a);
  CHECK(fixture.resolve("org/b") == b);
  CHECK_FALSE(fixture.resolve("other/c"));
  CHECK_FALSE(fixture.resolve("dataset/org/d"));
  fixture.run({.repo = "dataset/org/*"});
  CHECK(fixture.resolve("dataset/org/d") == d);
  fixture.hub.reset_counters();
  const Json::Object again = fixture.run({.repo = "org/*"});
  CHECK(number_of(again, "current") == 2);
  CHECK(list_of(again, "repositories").empty());
  CHECK(fixture.hub.file_bytes_sent() == 0);
  CHECK(number_of(again, "requests") == fixture.hub.requests());
  CHECK(fixture.events.take("hole").empty());
}

TEST_CASE("mirror/mirror: with a watermark only what changed, and what is missing, is asked for") {
  MirrorFixture fixture;
  fixture.add("org/a", "one");
  fixture.add("org/b", "two");
  const Json::Object first = fixture.run({.repo = "org/*"});
  const auto watermark = parse_time(text_of(first, "changed"));
  REQUIRE(watermark);
  fixture.add("org/b", "newer");
  fixture.hub.reset_counters();
  const Json::Object second = fixture.run({.repo = "org/*"}, *watermark + std::chrono::seconds(1));
  CHECK(number_of(second, "listed") == 1);
  CHECK(fixture.hub.requests("/org/a/") == 0);
  CHECK(fixture.hub.requests("/org/b/") > 0);
}

TEST_CASE("mirror/mirror: another rule that names a repository decides about it") {
  MirrorFixture fixture;
  fixture.add("org/a", "one");
  fixture.add("org/b", "two");
  const MirrorRule all{.repo = "org/*"}, one{.repo = "org/b", .include = {"*.json"}};
  MirrorRequest request = fixture.request(all);
  request.rules = {all, one};
  CHECK(number_of(fixture.run(request), "listed") == 1);
  CHECK_FALSE(fixture.resolve("org/b"));
  request.rule = one;
  fixture.run(request);
  CHECK(paths_held(fixture, "org/b") == std::vector<std::string>{"config.json"});
}

TEST_CASE("mirror/mirror: branches and tags by glob, with one request when nothing changed") {
  MirrorFixture fixture;
  const GitOid main = fixture.add("org/m", "main");
  const GitOid v1 = fixture.add("org/m", "v1", "refs/tags/v1.0");
  const GitOid v2 = fixture.add("org/m", "v2", "refs/tags/v2.0");
  const MirrorRule rule{.repo = "org/m", .revisions = {"main", "v1.*"}};
  const Json::Object result = fixture.run(rule);
  CHECK(list_of(result, "repositories")[0].find("revisions")->as_array().size() == 2);
  CHECK(fixture.resolve("org/m") == main);
  CHECK(fixture.resolve("org/m", "v1.0") == v1);
  CHECK_FALSE(fixture.resolve("org/m", to_hex(v2)));
  // Evidence of the second revision tells who said what its ref is.
  const auto evidence = fixture.store->catalog().find_evidence({.owner = "org", .name = "m"}, v1);
  REQUIRE(evidence);
  const std::string text = to_text(Json(evidence->record));
  CHECK(text.find("/refs") != text.npos);
  CHECK(text.find("/tree/" + to_hex(main)) == text.npos);
  fixture.hub.offer_git(false);
  fixture.hub.reset_counters();
  fixture.run(rule);
  CHECK(fixture.hub.requests("/org/m/refs") == 1);
  CHECK(fixture.hub.requests("/tree/") == 0);
}

TEST_CASE("mirror/mirror: what the limits leave out is shown once, and is no hole") {
  MirrorFixture fixture;
  fixture.add("org/free", "one");
  fixture.add("org/closed", "two");
  fixture.add("org/silent", "three");
  fixture.hub.set_info("org/free", {{"cardData", Json::Object{{"license", "Apache-2.0"}}}});
  fixture.hub.set_info(
      "org/closed",
      {{"cardData", Json::Object{{"license", "other"}, {"license_name", "research"}}}});
  const MirrorRule rule{.repo = "org/*", .licenses = {"apache-*", "mit"}};
  const Json::Object result = fixture.run(rule);
  CHECK(number_of(result, "holes") == 0);
  CHECK(fixture.resolve("org/free"));
  CHECK_FALSE(fixture.resolve("org/closed"));
  CHECK_FALSE(fixture.resolve("org/silent"));
  CHECK(fixture.hub.file_bytes_sent() == distinct_bytes(MirrorFixture::files_of("one")));
  auto skipped = fixture.events.take("sync-skipped");
  REQUIRE(skipped.size() == 2);
  std::ranges::sort(skipped);
  CHECK(skipped[1].find("not stated") != skipped[1].npos);
  CHECK(skipped[0].find("'research'") != skipped[0].npos);
  fixture.run(rule);
  CHECK(fixture.events.take("sync-skipped").empty());
  CHECK(fixture.store->catalog().holes().empty());
  fixture.run({.repo = "org/closed", .size_bytes_max = 10'000});
  CHECK(fixture.events.take("sync-skipped").size() == 1);
  CHECK_FALSE(fixture.resolve("org/closed"));
  fixture.run({.repo = "org/closed", .size_bytes_max = 1'000'000});
  CHECK(fixture.resolve("org/closed"));
}

TEST_CASE("mirror/mirror: cards only brings the card and asks for nothing else") {
  MirrorFixture fixture;
  fixture.add("org/a", "one");
  fixture.run({.repo = "org/*", .cards_only = true});
  CHECK(paths_held(fixture, "org/a") == std::vector<std::string>{"README.md"});
  CHECK(fixture.hub.file_bytes_sent() == std::string("# one\n").size());
  CHECK(fixture.hub.requests("git-upload-pack") == 0);
  // A wider rule fills up what is missing.
  fixture.run({.repo = "org/*"});
  CHECK(paths_held(fixture, "org/a").size() == 3);
  // And a narrower one takes nothing away.
  MirrorRequest narrow = fixture.request({.repo = "org/*", .include = {"*.md"}});
  narrow.force = true;
  fixture.run(narrow);
  CHECK(paths_held(fixture, "org/a").size() == 3);
}

TEST_CASE("mirror/mirror: a failure is an open hole until it is mended, and the rest goes on") {
  MirrorFixture fixture;
  const GitOid a = fixture.add("org/a", "one");
  fixture.add("org/b", "two");
  const std::string broken =
      to_hex(sha256(as_bytes(MirrorFixture::files_of("one")[2].content.bytes)));
  fixture.hub.script({.fault = Fault::WrongBytes, .match = broken, .count = -1});
  const Json::Object result = fixture.run({.repo = "org/*"});
  CHECK(number_of(result, "holes") == 1);
  CHECK(fixture.resolve("org/b"));
  CHECK_FALSE(fixture.resolve("org/a"));
  auto holes = fixture.store->catalog().holes();
  REQUIRE(holes.size() == 1);
  CHECK(holes[0].repo.name == "a");
  CHECK(holes[0].commit == a);
  CHECK(holes[0].path.empty());
  CHECK(holes[0].reason.find("wrong bytes") != std::string::npos);
  CHECK(fixture.events.take("hole-opened").size() == 1);
  const Time since = holes[0].since;
  // It stays open with its time, is no second event, and is asked for again past any watermark.
  fixture.run({.repo = "org/*"}, std::chrono::system_clock::now());
  holes = fixture.store->catalog().holes();
  REQUIRE(holes.size() == 1);
  CHECK(holes[0].since == since);
  CHECK(fixture.events.take("hole").empty());
  fixture.hub.clear_scripts();
  CHECK(number_of(fixture.run({.repo = "org/*"}, std::chrono::system_clock::now()), "holes") == 0);
  CHECK(fixture.resolve("org/a") == a);
  CHECK(fixture.store->catalog().holes().empty());
  CHECK(fixture.events.take("hole-closed").size() == 1);
}

TEST_CASE("mirror/mirror: a hole of a commit that upstream left behind closes with the next") {
  MirrorFixture fixture;
  fixture.add("org/a", "one");
  fixture.hub.script({.fault = Fault::WrongBytes, .match = "/objects/", .count = -1});
  fixture.run({.repo = "org/a"});
  REQUIRE(fixture.store->catalog().holes().size() == 1);
  const GitOid next = fixture.add("org/a", "next");
  fixture.run({.repo = "org/a"});
  REQUIRE(fixture.store->catalog().holes().size() == 1);
  CHECK(fixture.store->catalog().holes()[0].commit == next);
  fixture.hub.clear_scripts();
  fixture.run({.repo = "org/a"});
  CHECK(fixture.store->catalog().holes().empty());
}

TEST_CASE("mirror/mirror: what cannot even be asked for is a hole without a commit") {
  struct Case {
    const char* name;
    MirrorRule rule;
    const char* reason;
  };

  const Case cases[] = {
      {"no such repository", {.repo = "org/absent"}, "no such repository"},
      {"no such tag", {.repo = "org/a", .revisions = {"main", "v9"}}, "'v9'"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    MirrorFixture fixture;
    fixture.add("org/a", "one");
    CHECK(number_of(fixture.run(c.rule), "holes") == 1);
    const auto holes = fixture.store->catalog().holes();
    REQUIRE(holes.size() == 1);
    CHECK(holes[0].commit == GitOid{});
    CHECK_MESSAGE(holes[0].reason.find(c.reason) != std::string::npos, holes[0].reason);
    // Nobody wants it any more.
    close_stale_holes({}, *fixture.store, fixture.events);
    CHECK(fixture.store->catalog().holes().empty());
  }
}

TEST_CASE("mirror/mirror: what lies here from elsewhere is not replaced") {
  MirrorFixture fixture;
  fixture.add("org/a", "one");
  sync_directory({.repo = {.owner = "org", .name = "a"}, .directory = HOLDFAST_SOURCE_DIR "/cmake"},
                 *fixture.store, fixture.context);
  const auto before = fixture.resolve("org/a");
  CHECK(number_of(fixture.run({.repo = "org/*"}), "holes") == 1);
  CHECK(fixture.resolve("org/a") == before);
  CHECK(fixture.store->catalog().holes()[0].reason.find("origin is 'local'") != std::string::npos);
}

TEST_CASE("mirror/mirror: a dry run asks and changes nothing") {
  MirrorFixture fixture;
  fixture.add("org/a", "one");
  fixture.add("org/b", "two");
  MirrorRequest request = fixture.request({.repo = "org/*"});
  request.dry_run = true;
  const Json::Object result = fixture.run(request);
  CHECK(number_of(result, "bytes_to_fetch") == 2 * distinct_bytes(MirrorFixture::files_of("one")));
  CHECK(fixture.hub.file_bytes_sent() == 0);
  CHECK(fixture.store->catalog().list_repositories({}).empty());
  CHECK_FALSE(fixture.store->catalog().find_fact({.owner = "org", .name = "a"}, {}, "mirror"));
  CHECK(fixture.events.take().empty());
  fixture.hub.script({.fault = Fault::ServerError, .match = "/org/a/refs", .count = -1});
  CHECK(number_of(fixture.run(request), "holes") == 1);
  CHECK(fixture.store->catalog().holes().empty());
}

TEST_CASE("mirror/mirror: an upstream that stays down is given up for the rest") {
  MirrorFixture fixture;
  constexpr int kRepositories = 12;
  for (int i = 0; i < kRepositories; ++i) fixture.add("org/m" + std::to_string(i), "one");
  // Once it has listed them.
  fixture.hub.script({.fault = Fault::Busy, .match = "/api/models", .first = 2, .count = -1});
  const Json::Object result = fixture.run({.repo = "org/*"});
  CHECK(number_of(result, "holes") == kRepositories);
  CHECK(text_of(result, "down").find("503") != std::string::npos);
  CHECK(fixture.store->catalog().holes().size() == kRepositories);
  int asked = 0;
  for (int i = 0; i < kRepositories; ++i) {
    asked += fixture.hub.requests("/m" + std::to_string(i) + "/refs") > 0;
  }
  CHECK(asked >= 3);
  CHECK(asked < kRepositories);
  CHECK(why_unanswered(result) == text_of(result, "down"));
  fixture.hub.clear_scripts();
  CHECK(number_of(fixture.run({.repo = "org/*"}), "holes") == 0);
}

TEST_CASE("mirror/mirror: an upstream that goes away on the way has told something") {
  MirrorFixture fixture;
  for (int i = 0; i < 9; ++i) fixture.add("org/m" + std::to_string(i), "one");
  // It answers for two repositories, each asked for its refs and then by git, and is gone for the
  // rest.
  fixture.hub.script({.fault = Fault::Busy, .match = "/refs", .first = 5, .count = -1});
  fixture.hub.script({.fault = Fault::Busy, .match = "/api/models?", .first = 2, .count = -1});
  MirrorRequest request = fixture.request({.repo = "org/*"});
  request.upstreams[0].tuning.repositories = 1;
  const Json::Object result = fixture.run(request);
  CHECK(number_of(result, "answered") == 2);
  CHECK(number_of(result, "holes") == 7);
  CHECK(text_of(result, "down").find("503") != std::string::npos);
  CHECK(why_unanswered(result) == "");
}

TEST_CASE("mirror/mirror: what could be had in part was answered, by a revision or by the list") {
  MirrorFixture fixture;
  fixture.add("org/m", "one", "refs/tags/v1");
  const std::string second = to_hex(fixture.add("org/m", "two", "refs/tags/v2"));
  fixture.hub.script({.fault = Fault::Busy, .match = second, .count = -1});
  const auto in_part = [&](const Json::Object& result) {
    CHECK(number_of(result, "holes") == 1);
    CHECK(why_unanswered(result) == "");
  };
  in_part(fixture.run({.repo = "org/m", .revisions = {"v1", "v2"}}));
  CHECK(fixture.resolve("org/m", "v1"));
  // A list that names nothing new, and a hole that stays.
  in_part(fixture.run({.repo = "org/*", .revisions = {"v1", "v2"}},
                      std::chrono::system_clock::now() + std::chrono::hours(24)));
}

TEST_CASE("mirror/mirror: repositories that are broken upstream cost no other") {
  MirrorFixture fixture;
  for (int i = 0; i < 9; ++i) fixture.add("org/m" + std::to_string(i), "one");
  // The newest are listed first.
  for (const char* const name : {"m4", "m5", "m6", "m7", "m8"}) {
    fixture.hub.script(
        {.fault = Fault::ServerError, .match = std::string(name) + "/refs", .count = -1});
  }
  MirrorRequest request = fixture.request({.repo = "org/*"});
  request.upstreams[0].tuning.repositories = 1;
  const Json::Object result = fixture.run(request);
  CHECK(number_of(result, "holes") == 5);
  CHECK((result.find("down") == nullptr || result.find("down")->is_null()));
  for (int i = 0; i < 4; ++i) CHECK(fixture.resolve("org/m" + std::to_string(i)));
}

TEST_CASE("mirror/mirror: repositories come side by side, and are told in the list's order") {
  MirrorFixture fixture;
  constexpr int kRepositories = 12;
  for (int i = 0; i < kRepositories; ++i) {
    auto files = MirrorFixture::files_of(std::to_string(i));
    for (int file = 0; file < 10; ++file) {
      const auto seed = 100 + 10 * static_cast<std::uint64_t>(i) + static_cast<std::uint64_t>(file);
      files.push_back({.path = std::to_string(file) + ".bin",
                       .content = fakes::content_of(noise(300'000, seed)),
                       .lfs = true});
    }
    fixture.hub.add_revision("org/m" + std::to_string(i), files);
  }
  // The first goes on when the fourth has begun.
  Sync<bool> fourth_begun{false};
  std::atomic<bool> together = false;
  fixture.hub.script({.fault = Fault::Act, .match = "/m11/refs", .action = [&] {
                        auto begun = fourth_begun.lock();
                        together =
                            begun.wait_for(std::chrono::seconds(50), [](bool is) { return is; });
                      }});
  fixture.hub.script({.fault = Fault::Act, .match = "/m8/refs", .action = [&] {
                        *fourth_begun.lock() = true;
                        fourth_begun.notify_all();
                      }});
  MirrorRequest request = fixture.request({.repo = "org/*"});
  request.upstreams[0].tuning.stall_window = std::chrono::seconds(60);  // longer than any hold
  const Json::Object result = fixture.run(request);
  CHECK(together);
  CHECK(number_of(result, "holes") == 0);
  CHECK(number_of(result, "requests") == fixture.hub.requests());
  // In the order of the listing, whoever was through first.
  const Json::Array& repositories = list_of(result, "repositories");
  REQUIRE(repositories.size() == kRepositories);
  for (int i = 0; i < kRepositories; ++i) {
    CHECK(repositories[static_cast<std::size_t>(i)].find("repo")->as_string() ==
          "model/org/m" + std::to_string(kRepositories - 1 - i));
  }
}

TEST_CASE(
    "mirror/mirror: what stops one repository for good stops the run, and nothing has passed") {
  MirrorFixture fixture;
  for (int i = 0; i < 8; ++i) fixture.add("org/m" + std::to_string(i), "one");
  fixture.hub.script({.fault = Fault::Act, .match = "/m3/refs", .action = [&] {
                        fixture.context.source.request_stop();
                      }});
  CHECK_THROWS_AS(fixture.run({.repo = "org/*"}), Error);
  CHECK(fixture.store->catalog().holes().empty());
}

TEST_CASE("mirror/mirror: the links of a revision that failed are not the next one's") {
  MirrorFixture fixture;
  fixture.add("org/m", "one", "refs/tags/v1");
  const GitOid second = fixture.hub.add_revision(
      "org/m",
      {{.path = "model.safetensors", .content = fakes::content_of(noise(30'000, 9)), .lfs = true}},
      "refs/tags/v2");
  const std::string broken =
      to_hex(sha256(as_bytes(MirrorFixture::files_of("one")[2].content.bytes)));
  fixture.hub.script({.fault = Fault::WrongBytes, .match = broken, .count = -1});
  CHECK(number_of(fixture.run({.repo = "org/m", .revisions = {"v1", "v2"}}), "holes") == 1);
  CHECK(fixture.resolve("org/m", "v2") == second);
  const auto evidence =
      fixture.store->catalog().find_evidence({.owner = "org", .name = "m"}, second);
  REQUIRE(evidence);
  CHECK(to_text(Json(evidence->record)).find(broken) == std::string::npos);
}

TEST_CASE("mirror/mirror: by hand a hole closes only with all that is wanted") {
  MirrorFixture fixture;
  fixture.add("org/m", "one");
  fixture.hub.script({.fault = Fault::WrongBytes, .match = "/objects/", .count = -1});
  fixture.run({.repo = "org/m"});
  REQUIRE(fixture.store->catalog().holes().size() == 1);
  fixture.hub.clear_scripts();
  SyncRequest by_hand{.repo = {.owner = "org", .name = "m"}};
  by_hand.upstream = fixture.upstream(fixture.hub);
  by_hand.selection = {.include = {"README.md"}};
  by_hand.closes = ClosesHoles::None;
  sync(by_hand, *fixture.store, fixture.context);
  CHECK(fixture.store->catalog().holes().size() == 1);
  by_hand.selection = {};
  by_hand.closes = ClosesHoles::OfCommit;
  sync(by_hand, *fixture.store, fixture.context);
  CHECK(fixture.store->catalog().holes().empty());
  // "No such tag" is not mended by the default branch.
  fixture.run({.repo = "org/m", .revisions = {"v9"}});
  sync(by_hand, *fixture.store, fixture.context);
  CHECK(fixture.store->catalog().holes().size() == 1);
  by_hand.closes = ClosesHoles::OfRepository;
  sync(by_hand, *fixture.store, fixture.context);
  CHECK(fixture.store->catalog().holes().empty());
}

TEST_CASE("mirror/mirror: an outage closes no hole") {
  MirrorFixture fixture;
  const GitOid commit = fixture.add("org/m", "one");
  fixture.hub.script({.fault = Fault::WrongBytes, .match = "/objects/", .count = -1});
  fixture.run({.repo = "org/m"});
  const auto before = fixture.store->catalog().holes();
  REQUIRE(before.size() == 1);
  fixture.events.take();
  fixture.hub.script({.fault = Fault::Busy, .match = "/refs", .count = -1});
  fixture.run({.repo = "org/m"});
  CHECK(fixture.store->catalog().holes().size() == 2);  // the outage is one of its own
  CHECK(fixture.events.take("hole-closed").empty());
  fixture.hub.clear_scripts();
  fixture.hub.script({.fault = Fault::WrongBytes, .match = "/objects/", .count = -1});
  fixture.run({.repo = "org/m"});
  const auto after = fixture.store->catalog().holes();
  REQUIRE(after.size() == 1);
  CHECK(after[0].commit == commit);
  CHECK(after[0].since == before[0].since);
}

TEST_CASE("mirror/mirror: repositories side by side ask no more than sixteen things at once") {
  MirrorFixture fixture;
  for (int i = 0; i < 8; ++i) {
    std::vector<fakes::ImposterFile> files;
    for (int file = 0; file < 6; ++file) {
      const auto seed = 10 * static_cast<std::uint64_t>(i) + static_cast<std::uint64_t>(file);
      files.push_back({.path = std::to_string(file) + ".bin",
                       .content = fakes::content_of(noise(300'000, seed)),
                       .lfs = true});
    }
    fixture.hub.add_revision("org/m" + std::to_string(i), files);
  }
  // The first one goes alone, for what its answer says of limits. Sixteen are held until all of
  // them are asked for, and then for a moment: time enough for another one, if there were room for
  // it.
  constexpr int kMost = kRequestsMax;
  Sync<int> asked{0};
  fixture.hub.script(
      {.fault = Fault::Act, .match = "/resolve/", .first = 2, .count = kMost, .action = [&] {
         auto count = asked.lock();
         ++*count;
         asked.notify_all();
         count.wait_for(std::chrono::seconds(50), [](int n) { return n >= kMost; });
         count.wait_for(std::chrono::seconds(1), [](int n) { return n > kMost; });
       }});
  MirrorRequest request = fixture.request({.repo = "org/*"});
  request.upstreams[0].tuning.repositories = 8;
  request.upstreams[0].tuning.workers = kRequestsMax;
  request.upstreams[0].tuning.stall_window = std::chrono::seconds(120);  // longer than any hold
  CHECK(number_of(fixture.run(request), "holes") == 0);
  CHECK(fixture.hub.concurrent_max() == kRequestsMax);
}

TEST_CASE("mirror/mirror: a list that fails is thrown, for then nothing has passed") {
  MirrorFixture fixture;
  fixture.hub.script({.fault = Fault::BadJson, .match = "/api/models?", .count = -1});
  CHECK_THROWS_AS(fixture.run({.repo = "org/*"}), Error);
  CHECK(fixture.store->catalog().holes().empty());
}

}  // namespace
}  // namespace holdfast::mirror
