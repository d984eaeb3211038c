#include "storage/catalog.h"

#include <functional>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/limits.h"
#include "tests/storage/catalog_fixture.h"
#include "tests/storage/error_kind.h"

namespace holdfast::storage {
namespace {

using Fixture = tests::CatalogFixture;
using tests::kind_of;
using tests::oid;

TEST_CASE_FIXTURE(Fixture,
                  "storage/catalog: a publication reads back whole, also after reopening") {
  auto made = publication("c1", {file("a/b.txt", "hello"), file("weights.bin", "large", true)});
  made.files.push_back({.path = "outside.bin",
                        .size_bytes = 7,
                        .blob = oid("x"),
                        .lfs = true,
                        .pointer_bytes = 120});
  made.repository.gated = "auto";
  made.repository.created_at = clock.now();
  made.repository.upstream_info = {{"pipeline_tag", "text-generation"}};
  made.revision.selection = {.include = {"*.txt"}, .exclude = {"*.bin"}};
  made.git_objects = {{oid("commit object"), {.type = "commit", .bytes = std::string("a\0b", 3)}}};
  made.evidence = Evidence{.record = {{"endpoint", "https://example.org"}}};
  catalog().publish(made);
  for (const bool reopened : {false, true}) {
    CAPTURE(reopened);
    if (reopened) reopen();
    const auto repository = catalog().find_repository(repo);
    REQUIRE(repository);
    CHECK(repository->gated == "auto");
    CHECK(repository->created_at == clock.now());
    CHECK(repository->upstream_info == made.repository.upstream_info);
    const auto revision = catalog().find_revision(repo, oid("c1"));
    REQUIRE(revision);
    CHECK(revision->title == "c1");
    CHECK(revision->time == clock.now());
    CHECK(revision->selection == made.revision.selection);
    const auto found = catalog().find_file(repo, oid("c1"), "weights.bin");
    REQUIRE(found);
    CHECK(found->lfs);
    CHECK(found->pointer_bytes == 130);
    CHECK(found->object == sha256(as_bytes("large")));
    CHECK(found->etag() == to_hex(*found->object));
    CHECK(catalog().find_file(repo, oid("c1"), "a/b.txt")->etag() == to_hex(oid("hello")));
    CHECK(!catalog().find_file(repo, oid("c1"), "outside.bin")->object);
    CHECK(catalog().find_git_object(oid("commit object"))->bytes == std::string("a\0b", 3));
    CHECK(catalog().find_evidence(repo, oid("c1"))->record == made.evidence->record);
    CHECK(catalog().refs(repo) == made.refs);
  }
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: many repositories become visible together, or none") {
  constexpr std::size_t kMany = 50;
  std::vector<Publication> many;
  for (std::size_t i = 0; i < kMany; ++i) {
    const std::string number = std::to_string(i);
    many.push_back(publication("commit " + number, {file("README.md", "# Card " + number)}));
    many.back().repository.id = parse_repo_id("owner/name-" + number);
    many.back().revision.selection = {.include = {"README.md"}};
    many.back().facts = {{"card", Json(Json::Object{{"license", "mit-" + number}})}};
  }
  SUBCASE("all") {
    catalog().publish_all(many);
    reopen();
    CHECK(catalog().list_repositories({}).size() == kMany);
    for (const Publication& one : many) {
      const auto commit = catalog().resolve(one.repository.id, "main");
      REQUIRE(commit == one.revision.commit);
      const auto card = catalog().find_file(one.repository.id, *commit, "README.md");
      REQUIRE(card);
      CHECK(store->blobs().find(*card->object) == card->size_bytes);
      CHECK(catalog().find_fact(one.repository.id, *commit, "card") == one.facts[0].second);
    }
    catalog().remove(many[3].repository.id, std::nullopt);
    CHECK(!catalog().find_fact(many[3].repository.id, many[3].revision.commit, "card"));
  }
  SUBCASE("an object of the last one is not stored") {
    many.back().files[0].object = sha256(as_bytes("never stored"));
    CHECK(kind_of([&] { catalog().publish_all(many); }) == ErrorKind::NotFound);
    CHECK(catalog().list_repositories({}).empty());
  }
  SUBCASE("one of them twice") {
    many.push_back(many.front());
    CHECK(kind_of([&] { catalog().publish_all(many); }) == ErrorKind::Invalid);
    CHECK(catalog().list_repositories({}).empty());
  }
  SUBCASE("too many") {
    many.resize(kPublicationsMax + 1);
    CHECK(kind_of([&] { catalog().publish_all(many); }) == ErrorKind::LimitExceeded);
  }
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: nothing is published before every object is stored") {
  auto made = publication("c1", {file("a", "stored"), file("b", "also stored")});
  made.files[1].object = sha256(as_bytes("never stored"));
  CHECK(kind_of([&] { catalog().publish(made); }) == ErrorKind::NotFound);
  made.files[1] = file("b", "also stored");
  made.files[1].size_bytes = 3;
  CHECK(kind_of([&] { catalog().publish(made); }) == ErrorKind::Invalid);
  CHECK(!catalog().find_repository(repo));
  CHECK(!catalog().find_revision(repo, oid("c1")));
  CHECK(!catalog().find_file(repo, oid("c1"), "a"));
  CHECK(catalog().refs(repo).empty());
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: paths that could leave a directory are refused") {
  for (const char* path : {"", "/a", "a//b", "../a", "a/..", "a/./b", "a/"}) {
    CAPTURE(path);
    auto made = publication("c1", {file(path, "x")});
    CHECK(kind_of([&] { catalog().publish(made); }) == ErrorKind::Invalid);
  }
  auto made = publication("c1", {file(std::string("a\0b", 3), "x")});
  CHECK(kind_of([&] { catalog().publish(made); }) == ErrorKind::Invalid);
  catalog().publish(publication("c1", {file("..a/b..", "x"), file(" ", "y"), file("ü/\n", "z")}));
  CHECK(catalog().find_file(repo, oid("c1"), "ü/\n"));
  CHECK(!catalog().find_file(repo, oid("c1"), std::string_view("ü\0", 3)));
}

TEST_CASE_FIXTURE(Fixture,
                  "storage/catalog: publishing again replaces the listing, once or often") {
  const auto first = publication("c1", {file("a", "1"), file("b", "2")});
  catalog().publish(first);
  catalog().publish(first);
  CHECK(catalog().files(repo, oid("c1"), "").size() == 2);
  auto second = publication("c1", {file("b", "3")});
  second.repository.created_at = clock.now();
  catalog().publish(second);
  REQUIRE(catalog().files(repo, oid("c1"), "").size() == 1);
  CHECK(catalog().find_file(repo, oid("c1"), "b")->object == sha256(as_bytes("3")));
  CHECK(catalog().revisions(repo).size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: files below a directory come in path order") {
  catalog().publish(publication("c1", {file("b", "1"), file("a/2", "2"), file("a-b", "3"),
                                       file("a/1/x", "4"), file("aa", "5")}));
  const auto paths = [&](std::string_view directory) {
    std::string text;
    for (const auto& found : catalog().files(repo, oid("c1"), directory)) text += found.path + " ";
    return text;
  };
  CHECK(paths("") == "a-b a/1/x a/2 aa b ");
  CHECK(paths("a") == "a/1/x a/2 ");
  CHECK(paths("a/") == "a/1/x a/2 ");
  CHECK(paths("a/1") == "a/1/x ");
  CHECK(paths("none") == "");
}

TEST_CASE_FIXTURE(Fixture,
                  "storage/catalog: revisions resolve by every name that the hub accepts") {
  auto made = publication("c1", {file("a", "1")});
  made.refs.push_back({"refs/tags/v1", oid("c1")});
  made.refs.push_back({"refs/pr/3", oid("c1")});
  made.refs.push_back({"refs/heads/feature/x", oid("c1")});
  catalog().publish(made);
  const std::string commit = to_hex(oid("c1"));
  std::string upper = commit;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  for (const std::string& name :
       {std::string("main"), std::string("HEAD"), std::string("v1"), std::string("refs/pr/3"),
        std::string("refs/heads/main"), std::string("refs/tags/v1"), std::string("feature/x"),
        commit, upper, commit.substr(0, 7), commit.substr(0, 39)}) {
    CAPTURE(name);
    CHECK(catalog().resolve(repo, name) == oid("c1"));
  }
  for (const std::string& name :
       {std::string("nope"), std::string("refs/heads/nope"), commit.substr(0, 6), commit + "0",
        std::string(40, '0'), std::string(), std::string("main\0x", 6)}) {
    CAPTURE(name);
    CHECK(!catalog().resolve(repo, name));
  }
  CHECK(!catalog().resolve(parse_repo_id("owner/name2"), "main"));
  CHECK(!catalog().resolve(parse_repo_id("dataset/owner/name"), "main"));
}

TEST_CASE_FIXTURE(Fixture,
                  "storage/catalog: a short commit id that fits two revisions is no answer") {
  auto first = publication("c1", {file("a", "1")});
  auto second = publication("c2", {file("a", "1")});
  first.revision.commit = *parse_git_oid("aaaaaaa000000000000000000000000000000001");
  second.revision.commit = *parse_git_oid("aaaaaaa100000000000000000000000000000001");
  first.refs = second.refs = {};
  catalog().publish(first);
  catalog().publish(second);
  CHECK(!catalog().resolve(repo, "aaaaaaa"));
  CHECK(catalog().resolve(repo, "aaaaaaa1") == second.revision.commit);
  CHECK(catalog().resolve(repo, "AAAAAAA0") == first.revision.commit);
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: refs move only to revisions that are there") {
  catalog().publish(publication("c1", {file("a", "1")}));
  const Ref half[] = {{"refs/tags/a", oid("c1")}, {"refs/tags/b", oid("never")}};
  CHECK(kind_of([&] { catalog().set_refs(repo, half); }) == ErrorKind::NotFound);
  CHECK(catalog().refs(repo).size() == 1);
  const Ref bad[] = {{"tags/a", oid("c1")}};
  CHECK(kind_of([&] { catalog().set_refs(repo, bad); }) == ErrorKind::Invalid);
  const Ref good[] = {{"refs/tags/a", oid("c1")}};
  catalog().set_refs(repo, good);
  CHECK(catalog().resolve(repo, "a") == oid("c1"));
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: refs change only as somebody saw them") {
  catalog().publish(publication("c1", {file("a.txt", "one")}));
  const Ref main{"refs/heads/main", oid("c1")}, none{"refs/tags/v1", {}};
  auto second = publication("c2", {file("a.txt", "two")});
  second.expected_refs = {{"refs/heads/main", oid("other")}};
  CHECK(kind_of([&] { catalog().publish(second); }) == ErrorKind::Conflict);
  CHECK_FALSE(catalog().find_revision(repo, oid("c2")).has_value());
  second.expected_refs = {main, none};
  catalog().publish(second);
  CHECK(catalog().resolve(repo, "main") == oid("c2"));
  const Ref tag{"refs/tags/v1", oid("c1")};
  catalog().change_refs(repo, {&none, 1}, {&tag, 1});
  CHECK(catalog().resolve(repo, "v1") == oid("c1"));
  CHECK(kind_of([&] { catalog().change_refs(repo, {&none, 1}, {&tag, 1}); }) ==
        ErrorKind::Conflict);
  catalog().change_refs(repo, {&tag, 1}, {&none, 1});
  CHECK_FALSE(catalog().resolve(repo, "v1").has_value());
  const Ref lost{"refs/tags/v1", oid("nothing")};
  CHECK(kind_of([&] { catalog().change_refs(repo, {}, {&lost, 1}); }) == ErrorKind::NotFound);
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: several revisions of one repository come at once") {
  auto first = publication("c1", {file("a.txt", "one")});
  first.refs = {};
  const auto second = publication("c2", {file("a.txt", "two")});
  catalog().publish_all(std::vector{first, second});
  CHECK(catalog().revisions(repo).size() == 2);
  CHECK(catalog().resolve(repo, "main") == oid("c2"));
  CHECK(kind_of([&] { catalog().publish_all(std::vector{second, second}); }) == ErrorKind::Invalid);
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: a repository takes everything along to a new name") {
  auto made = publication("c1", {file("a.txt", "one"), file("w.bin", "large", true)});
  made.evidence = Evidence{.record = {{"endpoint", "e"}}};
  made.facts = {{"card", Json("c")}};
  catalog().publish(made);
  const std::pair<std::string, Json> about{"mirror", Json(1)};
  catalog().put_facts(repo, GitOid{}, {&about, 1});
  catalog().put_holes(std::vector{Hole{.repo = repo, .commit = oid("c1"), .reason = "r"}});
  const RepoId to = parse_repo_id("other/name");
  catalog().rename(repo, to);
  reopen();
  CHECK_FALSE(catalog().find_repository(repo).has_value());
  CHECK(catalog().refs(repo).empty());
  CHECK(catalog().revisions(repo).empty());
  CHECK(catalog().files(repo, oid("c1"), "").empty());
  CHECK(catalog().find_fact(repo, GitOid{}, "moved")->as_string() == "other/name");
  CHECK(catalog().find_repository(to)->id == to);
  CHECK(catalog().resolve(to, "main") == oid("c1"));
  CHECK(catalog().files(to, oid("c1"), "").size() == 2);
  CHECK(catalog().find_fact(to, oid("c1"), "card")->as_string() == "c");
  CHECK(catalog().find_fact(to, GitOid{}, "mirror").has_value());
  CHECK(catalog().find_evidence(to, oid("c1")).has_value());
  CHECK(catalog().holes().front().repo == to);
  const Digest object = *catalog().find_file(to, oid("c1"), "w.bin")->object;
  CHECK(catalog().find_use(to, object).has_value());
  CHECK_FALSE(catalog().find_use(repo, object).has_value());

  CHECK(kind_of([&] { catalog().rename(repo, to); }) == ErrorKind::NotFound);
  catalog().publish(publication("c1", {file("a.txt", "one")}));
  CHECK(kind_of([&] { catalog().rename(repo, to); }) == ErrorKind::Conflict);
  catalog().remove(to, std::nullopt);
  catalog().rename(repo, to);  // and over a name that once moved
  CHECK(catalog().find_fact(repo, GitOid{}, "moved").has_value());
  catalog().rename(to, repo);
  CHECK_FALSE(catalog().find_fact(repo, GitOid{}, "moved").has_value());
  CHECK(catalog().find_repository(repo).has_value());
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: the generation grows with what readers may remember") {
  const auto grows = [&](const std::function<void()>& change) {
    const auto before = store->generation();
    change();
    return store->generation() > before;
  };
  const Ref tag[] = {{"refs/tags/a", oid("c1")}};
  const Ref bad[] = {{"refs/tags/b", oid("never")}};
  CHECK(grows([&] { catalog().publish(publication("c1", {file("a", "1")})); }));
  CHECK(grows([&] { catalog().set_refs(repo, tag); }));
  CHECK_FALSE(grows([&] { CHECK_THROWS_AS(catalog().set_refs(repo, bad), Error); }));
  CHECK_FALSE(grows([&] { catalog().put_facts(repo, oid("c1"), {}); }));
  CHECK_FALSE(grows([&] { static_cast<void>(catalog().resolve(repo, "main")); }));
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: revisions come newest first") {
  for (const char* commit : {"c1", "c2", "c3"}) {
    catalog().publish(publication(commit, {file("a", commit)}));
    clock.advance(std::chrono::seconds(1));
  }
  std::string titles;
  for (const auto& revision : catalog().revisions(repo)) titles += revision.title;
  CHECK(titles == "c3c2c1");
  CHECK(catalog().resolve(repo, "main") == oid("c3"));
}

TEST_CASE_FIXTURE(Fixture,
                  "storage/catalog: repositories are listed in order, by page and by owner") {
  for (const char* id : {"b/one", "gpt2", "a/two", "a/one", "dataset/a/set", "ab/one"}) {
    auto made = publication("c1", {file("a", "1")});
    made.repository.id = parse_repo_id(id);
    catalog().publish(made);
  }
  const auto names = [&](const Catalog::ListQuery& query) {
    std::string text;
    for (const auto& found : catalog().list_repositories(query)) text += found.id.full_name() + " ";
    return text;
  };
  CHECK(names({}) == "a/one a/two ab/one b/one gpt2 ");
  CHECK(names({.kind = RepoKind::Dataset}) == "a/set ");
  CHECK(names({.owner = "a"}) == "a/one a/two ");
  CHECK(names({.limit = 2}) == "a/one a/two ");
  CHECK(names({.after = "a/two", .limit = 2}) == "ab/one b/one ");
  CHECK(names({.owner = "a", .after = "a/one"}) == "a/two ");
  CHECK(names({.after = "zzz"}) == "");
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: a regular file's git blob is the stored object") {
  const auto regular = file("config.json", "{}");
  const auto large = file("weights", "bytes", true);
  CHECK(!catalog().find_blob_object(regular.blob));
  const std::pair<GitOid, Digest> early[] = {{oid("early"), store->blobs().put(as_bytes("early"))},
                                             {oid("gone"), sha256(as_bytes("gone"))}};
  catalog().remember_blobs(early);
  CHECK(catalog().find_blob_object(oid("early")) == early[0].second);
  CHECK(!catalog().find_blob_object(oid("gone")));
  catalog().publish(publication("c1", {regular, large}));
  CHECK(catalog().find_blob_object(regular.blob) == regular.object);
  CHECK(catalog().find_git_object(regular.blob)->type == "blob");
  CHECK(catalog().find_git_object(regular.blob)->bytes == "{}");
  CHECK(!catalog().find_blob_object(large.blob));
  CHECK(!catalog().find_git_object(oid("unknown")));
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: an object leads to a file of its own repository") {
  const auto weights = file("weights.bin", "large", true);
  catalog().publish(publication("c1", {weights}));
  auto second = publication("c2", {file("b.txt", "small")});
  catalog().publish(second);

  const auto use = catalog().find_use(repo, *weights.object);
  REQUIRE(use);
  CHECK(use->first == oid("c1"));
  CHECK(use->second.path == "weights.bin");
  CHECK(use->second.lfs);
  CHECK(!catalog().find_use(repo, sha256(as_bytes("absent"))));
  // Names that begin alike are other repositories.
  CHECK(!catalog().find_use(parse_repo_id("owner/nam"), *weights.object));
  CHECK(!catalog().find_use(parse_repo_id("owner/name2"), *weights.object));

  catalog().remove(repo, oid("c1"));
  CHECK(!catalog().find_use(repo, *weights.object));
}

TEST_CASE_FIXTURE(Fixture, "storage/catalog: what shall be new replaces no listing") {
  auto card = publication("c1", {file("README.md", "# Card")});
  card.only_new = true;
  catalog().publish(card);
  auto whole = publication("c1", {file("README.md", "# Card"), file("a.bin", "a", true)});
  catalog().publish(whole);
  CHECK(kind_of([&] { catalog().publish(card); }) == ErrorKind::Conflict);
  CHECK(catalog().files(repo, oid("c1"), "").size() == 2);
  auto other = publication("c2", {});
  other.only_new = true;
  const Publication both[] = {other, card};
  CHECK(kind_of([&] { catalog().publish_all(both); }) == ErrorKind::Conflict);
  CHECK_FALSE(catalog().find_revision(repo, oid("c2")));
}

}  // namespace
}  // namespace holdfast::storage
