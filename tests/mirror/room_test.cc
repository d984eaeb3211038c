// Whether there is room, on a disk that has never enough: what is refused names the sum.
#include "mirror/internal/room.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

#include <doctest/doctest.h>

#include "mirror/limits.h"
#include "storage/base/error.h"
#include "storage/git/pack_plan.h"
#include "storage/spool.h"
#include "tests/mirror/sync_fixture.h"
#include "tests/storage/small_disk.h"

namespace holdfast::mirror {
namespace {

const storage::RepoId kRepo{.owner = "org", .name = "m"};

// An upstream with the sample files, and a store on a disk smaller than what stays free.
struct NoRoom {
  explicit NoRoom(fakes::ImposterOptions options = {}) : fixture(std::move(options)) {
    if (!disk.mounted()) return;
    fixture.store.reset();
    fixture.store = storage::Store::open({.directory = disk.path() / "store"});
  }

  // The figure with which a sync is refused; 0 where it is not.
  std::uint64_t needed(const SyncRequest& request) {
    try {
      fixture.run(request);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::NoSpace);
      const std::string text = error.what();
      const std::size_t at = text.find("store: ");
      REQUIRE(at != text.npos);
      return std::stoull(text.substr(at + 7));
    }
    return 0;
  }

  std::uint64_t needed() { return needed(fixture.request()); }

  // What an earlier download would have staged: the first look then lets the sync pass.
  void stage(std::uint64_t bytes) {
    const auto file = storage::spool_directory(*fixture.store) / "earlier";
    std::ofstream(file).put('x');
    std::filesystem::resize_file(file, bytes);
  }

  tests::SmallDisk disk{"48m"};
  SyncFixture fixture;
};

// Each content once.
std::uint64_t distinct_bytes_if(const std::function<bool(const fakes::ImposterFile&)>& counts) {
  std::vector<fakes::ImposterFile> files = sample_files();
  std::erase_if(files, [&](const fakes::ImposterFile& file) { return !counts(file); });
  return distinct_bytes(files);
}

bool is_small(const fakes::ImposterFile& file) {
  return file.content.bytes.size() <= kBatchFileMax;
}

}  // namespace

TEST_CASE("mirror/room: what does not fit is refused before the first byte, all counted once") {
  NoRoom site;
  if (!site.disk.mounted()) return;
  CHECK(site.needed() == kFreeMargin + distinct_bytes(sample_files()));
  SyncRequest some = site.fixture.request();
  some.selection.include = {"*.json", "onnx/*"};
  CHECK(site.needed(some) == kFreeMargin + distinct_bytes_if([](const auto& file) {
                               return file.path.ends_with(".json") ||
                                      file.path.starts_with("onnx/");
                             }));
  CHECK(site.fixture.hub.file_bytes_sent() == 0);
  CHECK(site.fixture.hub.requests("/resolve/") == 0);
  CHECK(storage::staged_bytes(*site.fixture.store) == 0);
  CHECK_FALSE(site.fixture.store->catalog().find_repository(kRepo));
}

TEST_CASE("mirror/room: what is held needs none") {
  NoRoom site;
  if (!site.disk.mounted()) return;
  std::uint64_t left = kFreeMargin + distinct_bytes(sample_files());
  std::set<std::string_view> held;
  // One by one, small ones, large ones and those of LFS; the same bytes twice are there at once.
  for (const fakes::ImposterFile& file : sample_files()) {
    CAPTURE(file.path);
    const auto bytes = as_bytes(file.content.bytes);
    const std::pair<GitOid, Digest> blob(git_object_id("blob", bytes),
                                         site.fixture.store->blobs().put(bytes));
    if (!file.lfs) site.fixture.store->catalog().remember_blobs({&blob, 1});
    if (held.insert(file.content.bytes).second) left -= bytes.size();
    CHECK(site.needed() == left);
  }
  CHECK(left == kFreeMargin);
}

TEST_CASE("mirror/room: what is staged has its room; small files have none before they come") {
  NoRoom site;
  if (!site.disk.mounted()) return;
  site.stage(kFreeMargin);
  CHECK(site.needed() == kFreeMargin + distinct_bytes_if(is_small));
  CHECK(site.fixture.hub.file_bytes_sent() == 0);
  // What was set aside for large files is given back.
  CHECK(storage::staged_bytes(*site.fixture.store) == kFreeMargin);
}

TEST_CASE("mirror/room: of what git brings, the files count once and the rest with the catalog") {
  if (std::system("git http-backend --help >/dev/null 2>&1; git --version >/dev/null 2>&1") != 0) {
    std::cout << "SKIPPED: git does not run\n";
    return;
  }
  const TempDir git;
  NoRoom site({.git_root = git.path()});
  if (!site.disk.mounted()) return;
  CHECK(site.needed() == kFreeMargin + distinct_bytes(sample_files()));
  CHECK(site.fixture.hub.requests("git-upload-pack") == 0);

  // Where there is room, what the catalog gets besides files: a commit, trees, pointers.
  site.fixture.store.reset();
  site.fixture.open();
  site.fixture.run();
  const auto& catalog = site.fixture.store->catalog();
  storage::git::PackRequest clone;
  clone.wants = {site.fixture.commit};
  std::uint64_t rows = 0;
  for (const auto& object :
       storage::git::make_pack_plan(catalog, {site.fixture.commit}, clone).objects) {
    if (!object.content) rows += catalog.find_git_object(object.oid)->bytes.size();
  }
  REQUIRE(rows > 500);

  site.fixture.store.reset();
  site.fixture.store = storage::Store::open({.directory = site.disk.path() / "store"});
  site.stage(kFreeMargin);
  const auto small_lfs = [](const auto& file) { return file.lfs && is_small(file); };
  CHECK(site.needed() == kFreeMargin + rows + distinct_bytes_if(small_lfs));
  CHECK(site.fixture.hub.requests("/git-upload-pack") == 2);
}

TEST_CASE("mirror/room: a folder that does not fit is not begun") {
  NoRoom site;
  if (!site.disk.mounted()) return;
  const TempDir folder;
  for (const fakes::ImposterFile& file : sample_files()) {
    const auto path = folder.path() / file.path;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << file.content.bytes;
  }
  std::uint64_t bytes = 0;
  for (const fakes::ImposterFile& file : sample_files()) bytes += file.content.bytes.size();
  const auto take_in = [&] {
    sync_directory({.repo = kRepo, .directory = folder.path()}, *site.fixture.store,
                   site.fixture.context);
  };
  CHECK_THROWS_WITH_AS(take_in(), doctest::Contains(std::to_string(kFreeMargin + bytes).c_str()),
                       Error);
  CHECK(storage::staged_bytes(*site.fixture.store) == 0);
  CHECK_FALSE(site.fixture.store->catalog().find_repository(kRepo));
}

}  // namespace holdfast::mirror
