#include "mirror/internal/folder_listing.h"

#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "mirror/sync.h"
#include "storage/base/error.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

namespace fs = std::filesystem;

const storage::RepoId kTiny{.owner = "example", .name = "tiny"};
const std::string kCommit(40, 'a'), kOther(40, 'b');

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

void link(const fs::path& path, const fs::path& target) {
  fs::create_directories(path.parent_path());
  fs::create_symlink(target, path);
}

// A cache with one repository of two snapshots, as huggingface_hub leaves it.
struct CacheFixture {
  CacheFixture() {
    write(repository / "refs/main", kCommit);
    write(repository / "refs/refs/pr/1", kOther + "\n");
    const std::string weights = noise(300'000, 1), config = "{}";
    const std::string sha = to_hex(sha256(as_bytes(weights)));
    const std::string git = to_hex(git_object_id("blob", as_bytes(config)));
    write(blobs / sha, weights);
    write(blobs / git, config);
    link(snapshot / "model.safetensors", fs::path("../../blobs") / sha);
    link(snapshot / "sub/config.json", fs::path("../../../blobs") / git);
    link(repository / "snapshots" / kOther / "config.json", fs::path("../../blobs") / git);
  }

  FolderListing list(const fs::path& directory, const std::string& revision = "") const {
    return list_folder(directory, kTiny, revision, {});
  }

  TempDir temp;
  fs::path cache = temp.path() / "hub";
  fs::path repository = cache / "models--example--tiny";
  fs::path blobs = repository / "blobs";
  fs::path snapshot = repository / "snapshots" / kCommit;
};

std::vector<std::string> paths(const FolderListing& listing) {
  std::vector<std::string> out;
  for (const FolderFile& file : listing.files) out.push_back(file.record.path);
  return out;
}

using Names = std::vector<std::string>;

TEST_CASE("mirror/folder_listing: a cache is found by its root, a repository or a snapshot") {
  const CacheFixture fixture;
  const Names main = {"model.safetensors", "sub/config.json"};
  for (const fs::path& from : {fixture.cache, fixture.repository, fixture.snapshot}) {
    CAPTURE(from.string());
    const FolderListing listing = fixture.list(from);
    CHECK(paths(listing) == main);
    CHECK(listing.warnings.empty());
    CHECK(listing.files[0].record.lfs);
    CHECK_FALSE(listing.files[1].record.lfs);
    CHECK(listing.files[0].hash.size() == 64);
    CHECK(listing.files[1].hash.size() == 40);
  }
}

TEST_CASE("mirror/folder_listing: a revision chooses the snapshot") {
  const CacheFixture fixture;
  const Names other = {"config.json"};
  CHECK(paths(fixture.list(fixture.cache, "refs/pr/1")) == other);
  CHECK(paths(fixture.list(fixture.repository, kOther)) == other);
  CHECK_THROWS_WITH_AS(fixture.list(fixture.cache, "v2"), doctest::Contains(kOther.c_str()), Error);
  CHECK_THROWS_AS(fixture.list(fixture.cache, "../../blobs"), Error);
  fs::remove(fixture.repository / "refs/main");
  CHECK_THROWS_WITH_AS(fixture.list(fixture.cache), doctest::Contains("main"), Error);
  fs::remove_all(fixture.repository / "snapshots" / kOther);
  CHECK(fixture.list(fixture.cache).files.size() == 2);
  CHECK_THROWS_WITH_AS(fixture.list(fixture.snapshot / "sub", "main"),
                       doctest::Contains("a plain folder has no revision"), Error);
}

TEST_CASE("mirror/folder_listing: links lead where they may, others are left out by name") {
  const CacheFixture fixture;

  struct Case {
    const char* name;
    fs::path target;
    const char* warning;
  };

  write(fixture.temp.path() / "secret", "password");
  write(fixture.cache / "models--example--tiny2/blobs/x", "a neighbour's");
  const Case cases[] = {
      {"an unfinished download", "../../blobs/none", "leads nowhere (an unfinished download?)"},
      {"out of the cache", "../../../../secret", "leads out of the folder"},
      {"absolute", "/etc/passwd", "leads out of the folder"},
      {"a neighbour with a longer name", "../../../models--example--tiny2/blobs/x",
       "leads out of the folder"},
      {"a folder", "../../blobs", "leads to no file"},
      {"itself", "odd.json", "leads nowhere"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    link(fixture.snapshot / "odd.json", c.target);
    const FolderListing listing = fixture.list(fixture.cache);
    CHECK(listing.files.size() == 2);
    REQUIRE(listing.warnings.size() == 1);
    CHECK(listing.warnings[0].find("odd.json: link to \"") == 0);
    CHECK(listing.warnings[0].find(c.warning) != std::string::npos);
    fs::remove(fixture.snapshot / "odd.json");
  }
}

TEST_CASE("mirror/folder_listing: a plain folder keeps its links to itself") {
  const TempDir temp;
  write(temp.path() / "secret", "password");
  write(temp.path() / "model/a.json", "{}");
  link(temp.path() / "model/b.json", "a.json");
  link(temp.path() / "model/c.json", "../secret");
  const FolderListing listing = list_folder(temp.path() / "model", kTiny, "", {});
  CHECK(paths(listing) == Names{"a.json", "b.json"});
  CHECK(listing.warnings ==
        Names{R"(c.json: link to "../secret" leads out of the folder, left out)"});
  CHECK(list_folder(temp.path() / "model", kTiny, "", {.include = {"a*"}}).warnings.empty());
}

TEST_CASE("mirror/sync_directory: a cached model is taken in, and a damaged blob is not") {
  const CacheFixture fixture;
  const auto store = storage::Store::open({.directory = fixture.temp.path() / "store"});
  FakeContext context;
  const DirectorySyncRequest request{.repo = kTiny, .directory = fixture.cache};
  CHECK(number_of(sync_directory(request, *store, context), "files") == 2);
  const auto commit = store->catalog().resolve(kTiny, "main");
  REQUIRE(commit);
  const auto file = store->catalog().find_file(kTiny, *commit, "model.safetensors");
  REQUIRE(file);
  CHECK(storage::read_object(store->blobs(), *file->object, 1 << 20) == noise(300'000, 1));
  write(fixture.blobs / to_hex(*file->object), noise(300'000, 2));
  CHECK_THROWS_WITH_AS(sync_directory(request, *store, context),
                       doctest::Contains("model.safetensors: expected hash"), Error);
  CHECK(store->catalog().revisions(kTiny).size() == 1);
}

}  // namespace
}  // namespace holdfast::mirror
