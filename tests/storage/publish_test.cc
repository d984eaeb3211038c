// What changes of refs and publications must hold against those that others make meanwhile.
#include "storage/internal/publish.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "storage/git/objects.h"
#include "storage/internal/catalog_rows.h"
#include "storage/internal/keys.h"
#include "storage/ref_places.h"
#include "storage/scans.h"
#include "storage/store.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/scratch.h"

namespace holdfast::storage {
namespace {

using tests::FakeClock;
using tests::kind_of;
using tests::ScratchDirectory;

struct History {
  ScratchDirectory scratch;
  FakeClock clock;
  std::unique_ptr<Store> store = Store::open({.directory = scratch.path(), .clock = &clock});
  RepositoryRecord repository{.id = parse_repo_id("owner/name"),
                              .origin = "local",
                              .default_branch = "main",
                              .created_at = clock.now()};

  Catalog& catalog() { return store->catalog(); }

  const RepoId& repo() const { return repository.id; }

  // A revision without files, of a real commit.
  Publication commit(const std::string& message, std::vector<GitOid> parents) const {
    const auto snapshot = git::make_snapshot(
        {}, {.parents = std::move(parents), .time = clock.now(), .message = message});
    Publication made{.repository = repository};
    made.revision = {.commit = snapshot.commit,
                     .git_commit = snapshot.commit,
                     .tree = snapshot.tree,
                     .title = message};
    for (const auto& [oid, object] : snapshot.objects) {
      made.git_objects.emplace_back(
          oid, GitObjectRecord{.type = std::string(to_text(object.type)), .bytes = object.bytes});
    }
    return made;
  }

  // One after the other on a branch that is at `tip`, each visible at once; returns the last.
  GitOid grow(const std::string& ref, GitOid tip, const std::vector<std::string>& messages) {
    for (const std::string& message : messages) {
      Publication made =
          commit(message, tip == GitOid{} ? std::vector<GitOid>{} : std::vector{tip});
      tip = made.revision.commit;
      made.refs = {{.name = ref, .commit = tip}};
      catalog().publish(made);
    }
    return tip;
  }

  std::vector<std::string> titles() {
    std::vector<std::string> all;
    for (const auto& revision : catalog().revisions(repo())) all.push_back(revision.title);
    std::ranges::sort(all);
    return all;
  }
};

using Titles = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(History, "storage/removal: what no ref leads to is forgotten, and nothing else") {
  const GitOid base = grow("refs/heads/main", {}, {"a", "b"});
  const GitOid tip = grow("refs/heads/main", base, {"c"});
  const GitOid side = grow("refs/heads/side", base, {"s1", "s2"});
  grow("refs/heads/gone", base, {"g1", "g2"});
  Publication merge = commit("m", {tip, side});
  merge.refs = {{"refs/heads/main", merge.revision.commit}, {"refs/heads/side", base}};
  catalog().publish(merge);
  CHECK(catalog().expire_unreachable(repo()) == 0);
  const Ref gone{.name = "refs/heads/gone", .commit = {}};
  catalog().change_refs(repo(), {}, {&gone, 1});
  CHECK(catalog().expire_unreachable(repo()) == 2);
  CHECK(titles() == Titles{"a", "b", "c", "m", "s1", "s2"});
  const std::vector<Ref> moved{{"refs/heads/main", side}, {"refs/heads/side", {}}};
  catalog().change_refs(repo(), {}, moved);
  CHECK(catalog().expire_unreachable(repo()) == 2);
  CHECK(titles() == Titles{"a", "b", "s1", "s2"});
  // Without any ref nothing says what is needed.
  const Ref none{.name = "refs/heads/main", .commit = {}};
  catalog().change_refs(repo(), {}, {&none, 1});
  CHECK(catalog().expire_unreachable(repo()) == 0);
  CHECK(catalog().expire_unreachable(parse_repo_id("owner/none")) == 0);
}

TEST_CASE_FIXTURE(History,
                  "storage/removal: commits that others make meanwhile are not forgotten") {
  // A past that takes a while to walk.
  constexpr int kPast = 300, kRounds = 40;
  std::vector<Publication> past{commit("first", {})};
  while (past.size() < kPast) past.push_back(commit("again", {past.back().revision.commit}));
  GitOid tip = past.back().revision.commit;
  const GitOid base = tip;
  past.back().refs = {{.name = "refs/heads/main", .commit = tip}};
  catalog().publish_all(past);
  std::size_t made = past.size();
  std::atomic<bool> done{false};
  // Two at a time, as a push does: the first of them is never a branch's tip.
  std::thread writer([&] {
    for (int i = 0; i < kRounds; ++i) {
      const Publication first = commit("x" + std::to_string(i), {tip});
      Publication second = commit("y" + std::to_string(i), {first.revision.commit});
      tip = second.revision.commit;
      second.refs = {{.name = "refs/heads/main", .commit = tip}};
      const std::vector<Publication> both{first, second};
      catalog().publish_all(both);
      made += both.size();
    }
    done = true;
  });
  for (int i = 0; !done; ++i) {
    grow("refs/heads/side", base, {"s" + std::to_string(i), "t" + std::to_string(i)});
    const Ref gone{.name = "refs/heads/side", .commit = {}};
    catalog().change_refs(repo(), {}, {&gone, 1});
    catalog().expire_unreachable(repo());
  }
  writer.join();
  catalog().expire_unreachable(repo());
  CHECK(catalog().resolve(repo(), "main") == tip);
  CHECK(catalog().revisions(repo()).size() == made);
}

TEST_CASE_FIXTURE(History, "storage/publish: what goes into a repository does not bring it back") {
  const GitOid tip = grow("refs/heads/main", {}, {"a"});
  Publication late = commit("late", {tip});
  late.into_existing = true;
  late.refs = {{.name = "refs/heads/feature", .commit = late.revision.commit}};
  late.expected_refs = {{.name = "refs/heads/feature", .commit = {}}};
  SUBCASE("removed") {
    catalog().remove(repo(), std::nullopt);
    CHECK(kind_of([&] { catalog().publish(late); }) == ErrorKind::NotFound);
    CHECK_FALSE(catalog().find_repository(repo()));
  }
  SUBCASE("moved") {
    catalog().rename(repo(), parse_repo_id("owner/other"));
    CHECK(kind_of([&] { catalog().publish(late); }) == ErrorKind::NotFound);
    CHECK_FALSE(catalog().find_repository(repo()));
  }
  SUBCASE("made anew by somebody else") {
    catalog().remove(repo(), std::nullopt);
    clock.advance(std::chrono::seconds(1));
    repository.created_at = clock.now();
    grow("refs/heads/main", {}, {"b"});
    CHECK(kind_of([&] { catalog().publish(late); }) == ErrorKind::NotFound);
    CHECK(titles() == Titles{"b"});
  }
  SUBCASE("still there: what its record says now is not undone") {
    repository.default_branch = "trunk";
    grow("refs/heads/trunk", {}, {"b"});
    late.repository.updated_at = clock.now() + std::chrono::seconds(5);
    catalog().publish(late);
    const auto record = catalog().find_repository(repo());
    REQUIRE(record);
    CHECK(record->default_branch == "trunk");
    CHECK(record->updated_at == late.repository.updated_at);
  }
}

TEST_CASE_FIXTURE(History, "storage/publish: no ref is a directory of another") {
  const GitOid tip = grow("refs/heads/main", {}, {"a"});
  const std::vector<Ref> there{{"refs/heads/dev", tip}, {"refs/heads/x/y/z", tip}};
  catalog().set_refs(repo(), there);

  struct Case {
    const char* name;
    bool fits;
  };

  constexpr Case kCases[] = {
      {"refs/heads/dev/one", false}, {"refs/heads/dev/a/b", false}, {"refs/heads/x", false},
      {"refs/heads/x/y", false},     {"refs/heads/x/y/z/a", false}, {"refs/heads/dev2", true},
      {"refs/heads/de", true},       {"refs/heads/x/y2", true},     {"refs/tags/dev/one", true},
      {"refs/heads/x/y/zz", true},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.name));
    const Ref wanted{.name = c.name, .commit = tip}, expected{.name = c.name, .commit = {}};
    Publication made = commit(c.name, {tip});
    made.refs = {{.name = c.name, .commit = made.revision.commit}};
    made.expected_refs = {expected};
    const auto change = [&] { catalog().change_refs(repo(), {&expected, 1}, {&wanted, 1}); };
    if (!c.fits) {
      CHECK(kind_of(change) == ErrorKind::Conflict);
      CHECK(kind_of([&] { catalog().publish(made); }) == ErrorKind::Conflict);
      continue;
    }
    CHECK_NOTHROW(change());
    const Ref gone{.name = c.name, .commit = {}};
    catalog().change_refs(repo(), {}, {&gone, 1});
    CHECK_NOTHROW(catalog().publish(made));
  }
}

TEST_CASE_FIXTURE(History, "storage/publish: whoever makes a ref, git has a place for it") {
  const GitOid tip = grow("refs/heads/main", {}, {"a"});
  const Ref dev{.name = "refs/heads/dev", .commit = tip};
  catalog().set_refs(repo(), {&dev, 1});
  const Ref below{.name = "refs/heads/dev/x", .commit = tip};
  // Nobody said what they expect.
  CHECK(kind_of([&] { catalog().set_refs(repo(), {&below, 1}); }) == ErrorKind::Conflict);
  Publication made = commit("b", {tip});
  made.refs = {{.name = below.name, .commit = made.revision.commit}};
  CHECK_THROWS_WITH_AS(catalog().publish(made), doctest::Contains("refs/heads/dev/x"), Error);
  CHECK_THROWS_WITH_AS(catalog().publish(made), doctest::Contains("\"refs/heads/dev\""), Error);
  // Neither was there before.
  const std::vector<Ref> both{{"refs/heads/q/r", tip}, {"refs/heads/q", tip}};
  CHECK(kind_of([&] { catalog().set_refs(repo(), both); }) == ErrorKind::Conflict);
  std::vector<Publication> pair{commit("c", {tip}), commit("d", {tip})};
  pair[0].refs = {{.name = "refs/heads/q", .commit = pair[0].revision.commit}};
  pair[1].refs = {{.name = "refs/heads/q/r", .commit = pair[1].revision.commit}};
  CHECK(kind_of([&] { catalog().publish_all(pair); }) == ErrorKind::Conflict);
  CHECK(titles() == Titles{"a"});
  CHECK(catalog().refs(repo()).size() == 2);
  pair[1].repository.id = parse_repo_id("owner/other");
  CHECK_NOTHROW(catalog().publish_all(pair));
}

TEST_CASE_FIXTURE(History, "storage/publish: a ref makes way in the write that makes the other") {
  const GitOid tip = grow("refs/heads/main", {}, {"a"});
  const Ref dev{.name = "refs/heads/dev", .commit = tip};
  catalog().set_refs(repo(), {&dev, 1});
  Publication made = commit("b", {tip});
  const Ref below{.name = "refs/heads/dev/x", .commit = made.revision.commit};
  made.refs = {{.name = dev.name, .commit = {}}, below};
  // Only where it is as it was seen.
  made.expected_refs = {{.name = dev.name, .commit = made.revision.commit},
                        {.name = below.name, .commit = {}}};
  CHECK(kind_of([&] { catalog().publish(made); }) == ErrorKind::Conflict);
  CHECK(catalog().resolve(repo(), dev.name) == tip);
  CHECK(titles() == Titles{"a"});
  SUBCASE("of a publication") {
    made.expected_refs = {dev, {.name = below.name, .commit = {}}};
    catalog().publish(made);
  }
  SUBCASE("of a change of refs, whatever stands first") {
    made.refs.clear();
    made.expected_refs.clear();
    catalog().publish(made);
    const std::vector<Ref> expected{dev, {.name = below.name, .commit = {}}};
    const std::vector<Ref> wanted{below, {.name = dev.name, .commit = {}}};
    catalog().change_refs(repo(), expected, wanted);
  }
  CHECK_FALSE(catalog().resolve(repo(), dev.name));
  CHECK(catalog().resolve(repo(), below.name) == below.commit);
  CHECK(titles() == Titles{"a", "b"});
}

TEST_CASE_FIXTURE(History, "storage/publish: a pair of refs from an older store stays, and moves") {
  const GitOid tip = grow("refs/heads/main", {}, {"a"});
  const GitOid next = grow("refs/heads/other", tip, {"b"});
  const std::vector<Ref> pair{{"refs/heads/dev", tip}, {"refs/heads/dev/x", tip}};
  store.reset();
  {
    Database database(scratch.path() / "catalog", Database::Use::Existing);
    Batch batch(database);
    for (const Ref& ref : pair) {
      batch.put(Family::Head, keys::ref(repo(), ref.name), encode_oid(ref.commit));
    }
    database.write(batch);
  }
  store = Store::open({.directory = scratch.path(), .clock = &clock});
  const Ref third{.name = "refs/heads/dev/y", .commit = tip};
  CHECK(kind_of([&] { catalog().set_refs(repo(), {&third, 1}); }) == ErrorKind::Conflict);
  for (const Ref& ref : pair) {
    CHECK_NOTHROW(check_place(catalog(), repo(), ref.name));
    const Ref moved{.name = ref.name, .commit = next};
    CHECK_NOTHROW(catalog().change_refs(repo(), {&ref, 1}, {&moved, 1}));
    CHECK(catalog().resolve(repo(), ref.name) == next);
  }
  CHECK(kind_of([&] { check_place(catalog(), repo(), third.name); }) == ErrorKind::Conflict);
  CHECK(refs_in_way(catalog(), repo(), third.name).size() == 1);
  CHECK(refs_in_way(catalog(), repo(), "refs/heads").size() == 4);
}

TEST_CASE_FIXTURE(History, "storage/scans: what a crash left unscanned is asked for, once") {
  const GitOid tip = grow("refs/heads/main", {}, {"a", "b"});
  repository.id = parse_repo_id("dataset/owner/scanned");
  const GitOid scanned = grow("refs/heads/main", {}, {"c"});
  const std::pair<std::string, Json> card{"card", Json(Json::Object{})};
  catalog().put_facts(repo(), scanned, {&card, 1});
  CHECK(request_missing_scans(*store, {}) == 1);
  CHECK(request_missing_scans(*store, {}) == 1);
  const auto jobs = store->jobs().list(10);
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].kind == "scan");
  CHECK(jobs[0].key == "model/owner/name@" + to_hex(tip));
  // What a publication asks for is the same job.
  CHECK(request_scan(*store, parse_repo_id("owner/name"), tip));
  CHECK(store->jobs().list(10).size() == 1);
}

}  // namespace holdfast::storage
