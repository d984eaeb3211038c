#include <thread>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/catalog.h"
#include "tests/storage/catalog_fixture.h"
#include "tests/storage/error_kind.h"

namespace holdfast::storage {
namespace {

using Fixture = tests::CatalogFixture;
using tests::kind_of;
using tests::oid;

TEST_CASE_FIXTURE(Fixture, "storage/catalog: a fact that many change at once loses nothing") {
  constexpr int kThreads = 4, kChanges = 25;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([this] {
        for (int change = 0; change < kChanges; ++change) {
          catalog().change_fact(repo, GitOid{}, "count", [](const std::optional<Json>& fact) {
            return Json(fact ? fact->as_int() + 1 : 1);
          });
        }
      });
    }
  }
  CHECK(catalog().find_fact(repo, GitOid{}, "count")->as_int() == kThreads * kChanges);
  CHECK(kind_of([&] {
          catalog().change_fact(repo, GitOid{}, "count",
                                [](const auto&) -> Json { fail(ErrorKind::Corrupt, "no"); });
        }) == ErrorKind::Corrupt);
  CHECK(catalog().find_fact(repo, GitOid{}, "count")->as_int() == kThreads * kChanges);
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: holes of one repository, whatever others are called") {
  std::vector<Hole> holes;
  for (const char* const name : {"owner/name", "owner/name2", "owner/nam", "dataset/owner/name"}) {
    holes.push_back({.repo = parse_repo_id(name), .commit = oid("c"), .path = "", .reason = name});
  }
  holes.push_back({.repo = repo, .commit = oid("d"), .path = "x", .reason = "another"});
  catalog().put_holes(holes);
  const auto found = catalog().holes(repo);
  REQUIRE(found.size() == 2);
  for (const Hole& hole : found) CHECK(hole.repo == repo);
  CHECK(catalog().holes(parse_repo_id("owner/none")).empty());
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: facts and holes") {
  const std::pair<std::string, Json> facts[] = {
      {"card", Json(Json::Object{{"license", "mit"}})}, {"file/a", 1}, {"file/b", 2}};
  catalog().put_facts(repo, oid("c1"), facts);
  CHECK(catalog().find_fact(repo, oid("c1"), "card")->find("license")->as_string() == "mit");
  CHECK(!catalog().find_fact(repo, oid("c1"), "car"));
  CHECK(!catalog().find_fact(repo, oid("c2"), "card"));
  CHECK(catalog().facts(repo, oid("c1"), "file/").size() == 2);
  CHECK(catalog().facts(repo, oid("c1"), "").front().first == "card");

  const Hole holes[] = {
      {.repo = repo, .commit = oid("c1"), .path = "a/b", .reason = "404", .since = clock.now()},
      {.repo = repo, .commit = oid("c1"), .path = "c", .reason = "gone"}};
  catalog().put_holes(holes);
  REQUIRE(catalog().holes().size() == 2);
  CHECK(catalog().holes().front().path == "a/b");
  CHECK(catalog().holes().front().since == clock.now());
  catalog().clear_hole(repo, oid("c1"), "a/b");
  REQUIRE(catalog().holes().size() == 1);
  CHECK(catalog().holes().front().reason == "gone");
}

TEST_CASE_FIXTURE(Fixture,
                  "storage/catalog: readers see whole publications while writers are busy") {
  catalog().publish(publication("c0", {file("a", "0"), file("b", "0")}));
  std::vector<Publication> all;
  for (int i = 1; i < 20; ++i) {
    const std::string n = std::to_string(i);
    all.push_back(publication("c" + n, {file("a", n), file("b", n)}));
  }
  std::jthread writer([&] {
    for (const auto& made : all) catalog().publish(made);
  });
  for (GitOid last; last != all.back().revision.commit;) {
    last = catalog().resolve(repo, "main").value();
    CHECK(catalog().find_revision(repo, last));
    const auto a = catalog().find_file(repo, last, "a"), b = catalog().find_file(repo, last, "b");
    REQUIRE((a && b));
    CHECK(a->object == b->object);
    CHECK(store->blobs().find(*a->object));
  }
}

TEST_CASE("storage/catalog: what is missing is described with the nearest that is there") {
  Fixture fixture;
  for (const char* const name : {"owner/tiny-model", "other/large", "dataset/owner/text"}) {
    fixture.repo = parse_repo_id(name);
    fixture.catalog().publish(fixture.publication("one", {fixture.file("a", "a")}));
  }

  struct Case {
    const char *repo, *revision, *text;
  };

  const Case cases[] = {
      {"owner/tiny-modle", "",
       "owner/tiny-modle: no such repository here; did you mean "
       "owner/tiny-model?"},
      {"Owner/Tiny-Model", "",
       "Owner/Tiny-Model: no such repository here; did you mean "
       "owner/tiny-model?"},
      {"owner/large", "", "owner/large: no such repository here; did you mean other/large?"},
      {"owner/text", "", "owner/text: no such repository here; did you mean dataset/owner/text?"},
      {"someone/else", "",
       "someone/else: no such repository here; `holdfast list` shows what "
       "there is"},
      {"other/large", "v2", "other/large: no revision \"v2\" here; there is main"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.repo);
    CHECK(describe_missing(fixture.catalog(), parse_repo_id(c.repo), c.revision) == c.text);
  }
}

}  // namespace
}  // namespace holdfast::storage
