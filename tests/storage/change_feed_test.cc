#include "storage/change_feed.h"

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/internal/database.h"
#include "storage/internal/keys.h"
#include "storage/internal/layout.h"
#include "storage/store.h"
#include "tests/storage/scratch.h"

namespace holdfast::storage {
namespace {

GitOid oid(std::string_view seed) { return git_object_id("blob", as_bytes(seed)); }

struct Feed {
  tests::ScratchDirectory scratch;
  std::unique_ptr<Store> store = Store::open({.directory = scratch.path()});

  Catalog& catalog() { return store->catalog(); }

  static Publication publication(const std::string& name, std::string_view commit) {
    return {.repository = {.id = parse_repo_id(name), .origin = "local", .default_branch = "main"},
            .revision = {.commit = oid(commit), .git_commit = oid(commit), .tree = oid("tree")},
            .refs = {{"refs/heads/main", oid(commit)}}};
  }

  void publish(const std::string& name, std::string_view commit = "c") {
    catalog().publish(publication(name, commit));
  }

  // Names of what changed since; moves the place.
  std::string changes(std::size_t limit = 100) {
    std::string names;
    for (const Change& change : find_change_feed(catalog())->changes(after, limit)) {
      CHECK(change.number > after);
      after = change.number;
      names += change.repo.full_name() + " ";
    }
    return names;
  }

  void reopen() {
    store.reset();
    store = Store::open({.directory = scratch.path()});
  }

  std::uint64_t after = 0;
};

struct Row {
  Family family;
  std::string key, value;
};

// The feed's rows and its mark.
std::vector<Row> rows_of_feed(const Database& database) {
  std::vector<Row> rows;
  const auto add = [&](Family family, std::string_view prefix) {
    database.scan(family, prefix, [&](std::string_view key, std::string_view value) {
      rows.push_back({family, std::string(key), std::string(value)});
      return true;
    });
  };
  add(Family::Head, keys::change(""));
  add(Family::Head, keys::changed(""));
  add(Family::Meta, "changes");
  return rows;
}

// Leaves the store as a holdfast does that keeps no feed: with what `work` did, and with the feed
// as it was before.
void work_as_older(Feed& feed, const std::function<void()>& work) {
  const auto catalog = Layout{.root = feed.scratch.path()}.catalog();
  feed.store.reset();
  const std::vector<Row> before = rows_of_feed(Database(catalog, Database::Use::Existing));
  feed.reopen();
  work();
  feed.store.reset();
  Database database(catalog, Database::Use::Existing);
  Batch batch(database);
  for (const Row& row : rows_of_feed(database)) batch.erase(row.family, row.key);
  for (const Row& row : before) batch.put(row.family, row.key, row.value);
  database.write(batch);
}

}  // namespace

TEST_CASE_FIXTURE(Feed, "storage/change_feed: every change of a repository is told, in order") {
  CHECK(changes() == "");
  publish("a/1");
  publish("b/2");
  CHECK(changes() == "a/1 b/2 ");
  CHECK(changes() == "");
  publish("a/1", "again");
  CHECK(changes() == "a/1 ");
  const RepoId one = parse_repo_id("a/1");
  const std::pair<std::string, Json> fact{"card", Json("x")};
  catalog().put_facts(one, oid("c"), {&fact, 1});
  CHECK(changes() == "a/1 ");
  catalog().put_facts(one, GitOid{}, {&fact, 1});  // of the mirror, not of what is mirrored
  CHECK(changes() == "");
  const Ref tag{"refs/tags/v1", oid("c")};
  catalog().set_refs(one, {&tag, 1});
  CHECK(changes() == "a/1 ");
  catalog().rename(one, parse_repo_id("c/3"));
  CHECK(changes() == "a/1 c/3 ");
  catalog().remove(parse_repo_id("c/3"), std::nullopt);
  CHECK(changes() == "c/3 ");
  // From the start each stands once, where it changed last.
  after = 0;
  CHECK(changes() == "b/2 a/1 c/3 ");
}

TEST_CASE_FIXTURE(Feed, "storage/change_feed: revisions that come together are one change") {
  publish("a/1");
  const std::vector<Publication> both = {publication("a/1", "d"), publication("a/1", "e")};
  catalog().publish_all(both);
  CHECK(changes() == "a/1 ");
}

TEST_CASE_FIXTURE(Feed, "storage/change_feed: it comes in pieces, and outlives the process") {
  for (const char* name : {"a/1", "a/2", "a/3", "a/4", "a/5"}) publish(name);
  CHECK(changes(2) == "a/1 a/2 ");
  reopen();
  publish("a/1", "again");
  CHECK(changes(2) == "a/3 a/4 ");
  CHECK(changes(2) == "a/5 a/1 ");
}

TEST_CASE_FIXTURE(Feed, "storage/change_feed: what fails changed nothing") {
  publish("a/1");
  changes();
  CHECK_THROWS_AS(catalog().remove(parse_repo_id("a/none"), std::nullopt), Error);
  const Ref nowhere{"refs/heads/x", oid("none")};
  CHECK_THROWS_AS(catalog().set_refs(parse_repo_id("a/1"), {&nowhere, 1}), Error);
  CHECK(changes() == "");
}

TEST_CASE_FIXTURE(Feed,
                  "storage/change_feed: what was there before feeds were kept is told, once") {
  work_as_older(*this, [this] {
    for (const char* name : {"a/1", "a/2"}) publish(name);
  });
  reopen();
  publish("a/3");
  CHECK(changes() == "a/1 a/2 a/3 ");
  reopen();
  CHECK(changes() == "");
}

TEST_CASE_FIXTURE(Feed,
                  "storage/change_feed: what an older holdfast did in between is told, once") {
  for (const char* name : {"a/1", "a/2", "a/3"}) publish(name);
  CHECK(changes() == "a/1 a/2 a/3 ");
  work_as_older(*this, [this] {
    publish("a/1", "again");
    publish("b/1");
    catalog().remove(parse_repo_id("a/2"), std::nullopt);
  });
  reopen();
  CHECK(changes() == "a/1 a/3 b/1 a/2 ");
  CHECK(changes() == "");
  // From then on each change alone, whoever starts how often.
  reopen();
  publish("a/3", "again");
  CHECK(changes() == "a/3 ");
  reopen();
  CHECK(changes() == "");
}

TEST_CASE_FIXTURE(Feed, "storage/change_feed: starting again, and again, tells nothing anew") {
  for (int i = 0; i < 3; ++i) {
    CAPTURE(i);
    publish("a/" + std::to_string(i));
    CHECK(changes() == "a/" + std::to_string(i) + " ");
    reopen();
    CHECK(changes() == "");
  }
}

TEST_CASE_FIXTURE(Feed, "storage/change_feed: who follows it while others publish misses nothing") {
  constexpr int kEach = 50;
  std::vector<std::jthread> publishers;
  for (const char* owner : {"a", "b", "c"}) {
    publishers.emplace_back([this, owner] {
      const std::pair<std::string, Json> fact{"card", Json("x")};
      for (int i = 0; i < kEach; ++i) {
        const std::string name = std::string(owner) + "/" + std::to_string(i);
        publish(name);
        catalog().put_facts(parse_repo_id(name), oid("c"), {&fact, 1});
      }
    });
  }
  std::size_t last = 0;
  const ChangeFeed* feed = find_change_feed(catalog());
  std::map<std::string, std::uint64_t> seen;
  const auto follow = [&] {
    for (const Change& change : feed->changes(last, 7)) {
      last = change.number;
      seen[change.repo.full_name()] = change.number;
    }
  };
  for (int i = 0; i < 200; ++i) follow();
  publishers.clear();
  for (std::uint64_t before = last + 1; before != last;) {
    before = last;
    follow();
  }
  CHECK(seen.size() == 3 * kEach);
  for (const Change& change : feed->changes(0, 1000))
    CHECK(seen[change.repo.full_name()] == change.number);
}

}  // namespace holdfast::storage
