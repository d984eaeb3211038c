// Whether there is room, on a disk that has never enough: what is refused names the sum.
#include "mirror/internal/room.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>

#include "mirror/git_history.h"
#include "mirror/limits.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/git/pack_plan.h"
#include "storage/spool.h"
#include "tests/mirror/sync_fixture.h"
#include "tests/storage/small_disk.h"

namespace holdfast::mirror {
namespace {

const storage::RepoId kRepo{.owner = "org", .name = "m"};

// An upstream with the sample files, and a store on a disk smaller than what stays free, or of
// `size`.
struct NoRoom {
  explicit NoRoom(fakes::ImposterOptions options = {}, const std::string& size = "48m")
      : disk(size), fixture(std::move(options)) {
    if (disk.mounted()) open();
  }

  void open() {
    fixture.store.reset();
    fixture.store = storage::Store::open({.directory = disk.path() / "store"});
  }

  // Takes all of the disk but so much.
  void leave(std::uint64_t bytes) {
    fixture.store->blobs().put(
        as_bytes(std::string_view("x")));  // the catalog takes its log's room beforehand
    const UniqueFd fd(::open((disk.path() / "filler").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600));
    const std::uint64_t free = free_bytes(disk.path());
    REQUIRE(free > bytes);
    REQUIRE(::posix_fallocate(fd.get(), 0, static_cast<off_t>(free - bytes)) == 0);
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

  tests::SmallDisk disk;
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

// Enough for the catalog and a little more.
constexpr const char* kDisk = "128m";
constexpr std::uint64_t kMegabyte = 1 << 20;

// What a clone of the commits has beside files: commits, trees, pointers, and files of the past.
std::uint64_t bytes_of_rows(storage::Store& store, const storage::git::CommitSet& commits) {
  storage::git::PackRequest clone;
  clone.wants.assign(commits.begin(), commits.end());
  std::uint64_t bytes = 0;
  for (const auto& object : make_pack_plan(store.catalog(), commits, clone).objects) {
    if (!object.content) bytes += store.catalog().find_git_object(object.oid)->bytes.size();
  }
  return bytes;
}

// The sample files, and one in git itself that packs well.
std::vector<fakes::ImposterFile> with_news() {
  auto files = sample_files();
  files.push_back({.path = "NEWS", .content = fakes::content_of(std::string(8 * kMegabyte, '-'))});
  return files;
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
  if (!have_git()) return;
  const TempDir git;
  NoRoom site({.git_root = git.path()}, kDisk);
  if (!site.disk.mounted()) return;
  SyncFixture& fixture = site.fixture;
  // A past, which is no part of the sum.
  fixture.hub.add_revision("org/m", with_news());
  fixture.commit = fixture.hub.add_revision("org/m", sample_files());
  site.leave(kFreeMargin);
  CHECK(site.needed() == kFreeMargin + distinct_bytes(sample_files()));
  CHECK(fixture.hub.requests("git-upload-pack") == 0);

  // Where there is room, what the catalog gets besides files: a commit, trees, pointers.
  fixture.store.reset();
  fixture.open();
  fixture.run();
  const std::uint64_t rows = bytes_of_rows(*fixture.store, {fixture.commit});
  REQUIRE(rows > 500);

  for (const bool full_history : {false, true}) {
    CAPTURE(full_history);
    fixture.store.reset();
    std::filesystem::remove_all(site.disk.path() / "store");
    site.open();
    // For git's pack and the small files, not for the large ones.
    site.leave(kFreeMargin + kMegabyte * 7 / 4);
    site.stage(kMegabyte);
    fixture.hub.reset_counters();
    SyncRequest request = fixture.request();
    request.full_history = full_history;
    const auto small_lfs = [](const auto& file) { return file.lfs && is_small(file); };
    CHECK(site.needed(request) == kFreeMargin + rows + distinct_bytes_if(small_lfs));
    CHECK(fixture.hub.requests("/git-upload-pack") == 1);
  }
}

TEST_CASE("mirror/room: a past that does not fit is left out, and comes when there is room") {
  if (!have_git()) return;
  const TempDir git;
  NoRoom site({.git_root = git.path()}, kDisk);
  if (!site.disk.mounted()) return;
  SyncFixture& fixture = site.fixture;
  std::vector<GitOid> commits = {fixture.commit};
  commits.push_back(fixture.hub.add_revision("org/m", with_news()));
  commits.push_back(fixture.hub.add_revision("org/m", sample_files()));
  SyncRequest request = fixture.request();
  request.full_history = true;
  const auto past = [&] {
    return fixture.store->catalog().find_fact(kRepo, commits.back(), kPastFact).value().as_array();
  };
  site.leave(kFreeMargin + 5 * kMegabyte);
  fixture.run(request);
  CHECK(check_mirrored(*fixture.store, commits.back(), sample_files()) == "");
  CHECK(past().empty());
  CHECK(bytes_of_rows(*fixture.store, {commits.back()}) > 500);
  CHECK(bytes_of_rows(*fixture.store, {commits.back()}) < kMegabyte);
  const std::vector<std::string> lines = std::exchange(fixture.context.lines, {});

  std::filesystem::remove(site.disk.path() / "filler");
  fixture.run(request);
  CHECK(past().empty());  // it is not asked for at every look
  request.force = true;
  fixture.run(request);
  CHECK(past().size() == 2);
  const std::string sum =
      std::to_string(kFreeMargin + bytes_of_rows(*fixture.store, {commits.begin(), commits.end()}));
  CHECK(std::ranges::count_if(lines, [&](const std::string& line) {
          return line.starts_with("git: ") && line.find("store: " + sum) != line.npos &&
                 line.ends_with("; the history is left out");
        }) == 1);
}

TEST_CASE("mirror/room: git's pack leaves the catalog its room") {
  if (!have_git()) return;
  const TempDir git;
  NoRoom site({.git_root = git.path()}, kDisk);
  if (!site.disk.mounted()) return;
  site.leave(kFreeMargin + kMegabyte / 2);
  site.stage(2 * kMegabyte);
  for (const bool full_history : {false, true}) {
    CAPTURE(full_history);
    site.fixture.hub.reset_counters();
    SyncRequest request = site.fixture.request();
    request.full_history = full_history;
    CHECK_THROWS_WITH_AS(site.fixture.run(request), doctest::Contains("/staging: "), Error);
    // With the past, and then without.
    CHECK(site.fixture.hub.requests("/git-upload-pack") == (full_history ? 2 : 1));
    CHECK(site.fixture.hub.file_bytes_sent() == 0);
    CHECK(free_bytes(site.disk.path()) >= kFreeMargin);
  }
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
