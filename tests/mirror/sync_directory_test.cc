#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "mirror/sync.h"
#include "storage/base/error.h"
#include "storage/git/objects.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

const storage::RepoId kTiny{.owner = "example", .name = "tiny"};

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

struct FolderFixture {
  FolderFixture() {
    write(folder / "README.md", "# Tiny\n");
    write(folder / "config.json", "{}");
    write(folder / "model.safetensors", noise(600'000, 1));
    write(folder / "tokenizer.json", noise(400'000, 2));
    write(folder / "sub/small.bin", "abc");
    write(folder / "empty.bin", "");
    write(folder / ".git/config", "[core]");
    write(folder / ".cache/huggingface/x", "x");
    store = storage::Store::open({.directory = temp.path() / "store"});
  }

  Json::Object run() {
    return sync_directory({.repo = kTiny, .directory = folder}, *store, context);
  }

  TempDir temp;
  std::filesystem::path folder = temp.path() / "folder";
  std::unique_ptr<storage::Store> store;
  FakeContext context;
};

TEST_CASE("mirror/sync_directory: a folder becomes a revision with a commit of its own") {
  FolderFixture fixture;
  const Json::Object result = fixture.run();
  CHECK(number_of(result, "files") == 6);
  CHECK(number_of(result, "bytes_total") == 1'000'012);
  CHECK(text_of(result, "ref") == "refs/heads/main");
  const storage::Catalog& catalog = fixture.store->catalog();
  const auto commit = catalog.resolve(kTiny, "main");
  REQUIRE(commit);
  CHECK(to_hex(*commit) == text_of(result, "commit"));
  const auto lfs = [&](const char* path) { return catalog.find_file(kTiny, *commit, path)->lfs; };
  CHECK(lfs("model.safetensors"));
  CHECK(lfs("sub/small.bin"));
  CHECK_FALSE(lfs("empty.bin"));
  CHECK_FALSE(lfs("tokenizer.json"));
  const auto file = catalog.find_file(kTiny, *commit, "model.safetensors");
  CHECK(storage::read_object(fixture.store->blobs(), *file->object, 1 << 20) == noise(600'000, 1));
  const auto object = catalog.find_git_object(*commit);
  REQUIRE(object);
  CHECK(storage::git::parse_commit(object->bytes).committer_time ==
        Time(std::chrono::seconds(946'684'800)));
  CHECK(fixture.store->jobs().list(5).at(0).kind == "scan");
}

TEST_CASE("mirror/sync_directory: the commit depends on content alone") {
  FolderFixture one, two;
  CHECK(text_of(one.run(), "commit") == text_of(two.run(), "commit"));
  const Json::Object again = one.run();
  CHECK(again.find("already_current")->as_bool());
  CHECK(number_of(again, "bytes_fetched") == 0);
  write(one.folder / "README.md", "# Other\n");
  write(two.folder / "README.md", "# Other\n");
  const Json::Object next = one.run();
  CHECK(text_of(next, "commit") == text_of(two.run(), "commit"));
  CHECK(number_of(next, "bytes_fetched") == 8);
  CHECK(one.store->catalog().revisions(kTiny).size() == 2);
}

TEST_CASE("mirror/sync_directory: selections, dry runs and refusals") {
  FolderFixture fixture;
  Json::Object result = sync_directory({.repo = kTiny,
                                        .directory = fixture.folder,
                                        .selection = {.include = {"*.json"}},
                                        .dry_run = true},
                                       *fixture.store, fixture.context);
  CHECK(result.find("plan")->as_array().size() == 2);
  CHECK_FALSE(fixture.store->catalog().find_repository(kTiny));
  CHECK_THROWS_WITH_AS(
      sync_directory({.repo = kTiny, .directory = "/nonexistent"}, *fixture.store, fixture.context),
      doctest::Contains("no such folder"), Error);
  CHECK_THROWS_WITH_AS(
      sync_directory(
          {.repo = kTiny, .directory = fixture.folder, .selection = {.include = {"*.xyz"}}},
          *fixture.store, fixture.context),
      doctest::Contains("no file"), Error);
  fixture.context.source.request_stop();
  CHECK_THROWS_AS(fixture.run(), Error);
  CHECK_FALSE(fixture.store->catalog().find_repository(kTiny));
}

TEST_CASE("mirror/sync_directory: a mirror and a folder do not replace each other") {
  SyncFixture mirrored;
  mirrored.run();
  FolderFixture fixture;
  CHECK_THROWS_WITH_AS(
      sync_directory({.repo = {.owner = "org", .name = "m"}, .directory = fixture.folder},
                     *mirrored.store, fixture.context),
      doctest::Contains("origin"), Error);
  write(fixture.folder / "x", "x");
  sync_directory({.repo = {.owner = "org", .name = "m"}, .directory = fixture.folder},
                 *fixture.store, fixture.context);
  FakeContext context;
  CHECK_THROWS_WITH_AS(sync(mirrored.request(), *fixture.store, context),
                       doctest::Contains("--force"), Error);
}

TEST_CASE("mirror/sync_directory: a branch that git could not have is refused before work") {
  FolderFixture fixture;
  fixture.run();
  storage::Catalog& catalog = fixture.store->catalog();
  const GitOid commit = catalog.resolve(kTiny, "main").value();
  const std::vector<storage::Ref> moved{{"refs/heads/main", {}}, {"refs/heads/main/old", commit}};
  catalog.change_refs(kTiny, {}, moved);
  write(fixture.folder / "model.safetensors", noise(600'000, 3));
  std::size_t reports = 0;
  fixture.context.on_report = [&](const storage::Progress&) { ++reports; };
  CHECK_THROWS_WITH_AS(fixture.run(), doctest::Contains("\"refs/heads/main\""), Error);
  CHECK_THROWS_WITH_AS(fixture.run(), doctest::Contains("\"refs/heads/main/old\""), Error);
  CHECK(reports == 0);
  CHECK(catalog.revisions(kTiny).size() == 1);
  const storage::Ref gone{.name = "refs/heads/main/old", .commit = {}};
  catalog.change_refs(kTiny, {}, {&gone, 1});
  CHECK_NOTHROW(fixture.run());
  CHECK(catalog.resolve(kTiny, "main") != commit);
}

}  // namespace
}  // namespace holdfast::mirror
