// Git repositories on this disk as sources; made by the real git.
#include <cstdlib>
#include <iostream>

#include <doctest/doctest.h>

#include "mirror/sync.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/git/objects.h"
#include "tests/fakes/git_backend.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

namespace fs = std::filesystem;

const storage::RepoId kRepo{.owner = "org", .name = "m"};

bool have_git() {
  if (std::system("git --version >/dev/null 2>&1") == 0) return true;
  std::cout << "SKIPPED: git does not run\n";
  return false;
}

struct CloneFixture {
  CloneFixture() : backend(temp.path()) {
    store = storage::Store::open({.directory = temp.path() / "store"});
    commit = add(sample_files());
  }

  fs::path path() const { return temp.path() / "clone.git"; }

  GitOid add(const std::vector<fakes::ImposterFile>& files,
             const std::string& ref = "refs/heads/main") {
    std::vector<std::pair<std::string, std::string>> in_git;
    for (const fakes::ImposterFile& file : files) {
      const auto bytes = as_bytes(file.content.bytes);
      in_git.emplace_back(file.path, file.lfs
                                         ? storage::git::lfs_pointer(sha256(bytes), bytes.size())
                                         : std::string(file.content.bytes));
    }
    return backend.add("clone.git", in_git, ref);
  }

  fs::path lfs_path(std::string_view content) const {
    const std::string hex = to_hex(sha256(as_bytes(content)));
    return path() / "lfs/objects" / hex.substr(0, 2) / hex.substr(2, 2) / hex;
  }

  void keep_lfs(std::string_view content) const {
    fs::create_directories(lfs_path(content).parent_path());
    write_file_atomically(lfs_path(content), as_bytes(content));
  }

  void keep_all_lfs() const {
    for (const fakes::ImposterFile& file : sample_files()) {
      if (file.lfs) keep_lfs(file.content.bytes);
    }
  }

  DirectorySyncRequest request(const std::string& revision = "") const {
    return {.repo = kRepo, .directory = path(), .revision = revision};
  }

  Json::Object run(const DirectorySyncRequest& what) {
    return sync_directory(what, *store, context);
  }

  TempDir temp;
  fakes::GitBackend backend;
  std::unique_ptr<storage::Store> store;
  FakeContext context;
  GitOid commit;
};

TEST_CASE("mirror/clone_sync: a clone becomes a revision under its own commit's id") {
  if (!have_git()) return;
  CloneFixture fixture;
  fixture.keep_all_lfs();
  const Json::Object result = fixture.run(fixture.request());
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
  CHECK(text_of(result, "commit") == to_hex(fixture.commit));
  CHECK(text_of(result, "ref") == "refs/heads/main");
  CHECK(number_of(result, "bytes_fetched") == distinct_bytes(sample_files()) + 950'000);
  const auto revision = fixture.store->catalog().find_revision(kRepo, fixture.commit);
  REQUIRE(revision);
  CHECK(revision->git_commit == fixture.commit);
  CHECK(fixture.run(fixture.request()).find("already_current")->as_bool());
  // The next commit takes what is new.
  auto files = sample_files();
  files[1].content = fakes::content_of("# Newer\n");
  const GitOid next = fixture.add(files);
  CHECK(number_of(fixture.run(fixture.request()), "bytes_fetched") == 8);
  CHECK(check_mirrored(*fixture.store, next, files) == "");
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
}

TEST_CASE("mirror/clone_sync: a revision chooses the branch, tag or commit") {
  if (!have_git()) return;
  CloneFixture fixture;
  fixture.keep_all_lfs();
  auto files = sample_files();
  files[1].content = fakes::content_of("# Tagged\n");
  const GitOid tagged = fixture.add(files, "refs/tags/v1");
  CHECK(text_of(fixture.run(fixture.request("v1")), "ref") == "refs/tags/v1");
  CHECK(fixture.store->catalog().resolve(kRepo, "v1") == tagged);
  CHECK(fixture.run(fixture.request(to_hex(fixture.commit))).find("ref")->is_null());
  CHECK(fixture.store->catalog().find_revision(kRepo, fixture.commit));
  CHECK_THROWS_WITH_AS(fixture.run(fixture.request("v9")), doctest::Contains("'v9'"), Error);
}

TEST_CASE(
    "mirror/clone_sync: LFS content that the clone lacks is named, unless it is not selected") {
  if (!have_git()) return;
  CloneFixture fixture;
  fixture.keep_lfs(sample_files()[4].content.bytes);
  CHECK_THROWS_WITH_AS(fixture.run(fixture.request()), doctest::Contains("2 LFS files"), Error);
  CHECK_FALSE(fixture.store->catalog().find_repository(kRepo));
  DirectorySyncRequest some = fixture.request();
  some.selection.exclude = {"model-2*", "onnx/deep/*"};
  CHECK(number_of(fixture.run(some), "files") == sample_files().size() - 2);
  CHECK_FALSE(
      fixture.store->catalog().find_file(kRepo, fixture.commit, "model-2.safetensors")->object);
  // Filled up when it has come, and a narrower look takes nothing away.
  fixture.keep_all_lfs();
  fixture.run(fixture.request());
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
  fixture.run(some);
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
}

TEST_CASE("mirror/clone_sync: a damaged LFS object publishes nothing") {
  if (!have_git()) return;
  for (const std::size_t length : {std::size_t{300'000}, std::size_t{299'999}}) {
    CAPTURE(length);
    CloneFixture fixture;
    fixture.keep_all_lfs();
    write_file_atomically(fixture.lfs_path(sample_files()[5].content.bytes),
                          as_bytes(std::string(length, 'x')));
    CHECK_THROWS_AS(fixture.run(fixture.request()), Error);
    CHECK_FALSE(fixture.store->catalog().find_repository(kRepo));
    fixture.keep_all_lfs();
    fixture.run(fixture.request());
    CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
  }
}

TEST_CASE("mirror/clone_sync: a dry run takes nothing, and a mirror is not replaced") {
  if (!have_git()) return;
  CloneFixture fixture;
  fixture.keep_all_lfs();
  DirectorySyncRequest dry = fixture.request();
  dry.dry_run = true;
  CHECK(fixture.run(dry).find("plan")->as_array().size() == sample_files().size());
  CHECK_FALSE(fixture.store->catalog().find_repository(kRepo));
  SyncFixture mirrored;
  mirrored.run();
  CHECK_THROWS_WITH_AS(sync_directory(fixture.request(), *mirrored.store, mirrored.context),
                       doctest::Contains("cannot become"), Error);
}

TEST_CASE("mirror/clone_sync: a work tree is a clone, and what is not committed stays outside") {
  if (!have_git()) return;
  CloneFixture fixture;
  const fs::path tree = fixture.temp.path() / "tree";
  const std::string command =
      "cd " + fixture.temp.path().string() +
      " && GIT_LFS_SKIP_SMUDGE=1 git clone -q clone.git tree >/dev/null 2>&1";
  REQUIRE(std::system(command.c_str()) == 0);
  fixture.keep_all_lfs();
  fs::copy(fixture.path() / "lfs", tree / ".git/lfs",
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  fs::remove_all(fixture.path());
  write_file_atomically(tree / "notes.txt", as_bytes("mine"));
  DirectorySyncRequest request = fixture.request();
  request.directory = tree;
  fixture.run(request);
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
}

TEST_CASE("mirror/clone_sync: a ref that git could not have beside one here is refused first") {
  if (!have_git()) return;
  CloneFixture fixture;
  fixture.keep_all_lfs();
  fixture.run(fixture.request());
  auto files = sample_files();
  files[1].content = fakes::content_of("# Tagged\n");
  const GitOid wanted = fixture.add(files, "refs/heads/dev");
  storage::Catalog& catalog = fixture.store->catalog();
  const storage::Ref below{.name = "refs/heads/dev/x", .commit = fixture.commit};
  catalog.set_refs(kRepo, {&below, 1});
  std::size_t reports = 0;
  fixture.context.on_report = [&](const storage::Progress&) { ++reports; };
  for (const bool dry_run : {true, false}) {
    CAPTURE(dry_run);
    DirectorySyncRequest request = fixture.request("dev");
    request.dry_run = dry_run;
    CHECK_THROWS_WITH_AS(fixture.run(request), doctest::Contains("\"refs/heads/dev\""), Error);
    CHECK_THROWS_WITH_AS(fixture.run(request), doctest::Contains("\"refs/heads/dev/x\""), Error);
  }
  CHECK(reports == 0);
  CHECK_FALSE(catalog.find_revision(kRepo, wanted));
  // By its commit alone it asks for no place.
  CHECK(fixture.run(fixture.request(to_hex(wanted))).find("ref")->is_null());
  const storage::Ref gone{.name = below.name, .commit = {}};
  catalog.change_refs(kRepo, {}, {&gone, 1});
  fixture.run(fixture.request("dev"));
  CHECK(catalog.resolve(kRepo, "dev") == wanted);
}

}  // namespace
}  // namespace holdfast::mirror
