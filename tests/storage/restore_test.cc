#include <filesystem>

#include <doctest/doctest.h>

#include "storage/backup.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/internal/layout.h"
#include "tests/storage/backup_fixture.h"
#include "tests/storage/error_kind.h"

namespace holdfast::tests {
namespace {

TEST_CASE_FIXTURE(BackupFixture,
                  "storage/restore: over another store only by force, which keeps it aside") {
  const Digest object = put(kLarge, 1);
  publish("owner/name", "one", {object});
  backup();
  const Digest old = Store::open({.directory = target})->blobs().put(random_bytes(kLarge, 9));
  CHECK(kind_of([&] { restore(); }) == ErrorKind::Conflict);
  {
    const auto open = restored();
    CHECK(kind_of([&] { restore(true); }) == ErrorKind::Conflict);
    CHECK(open->blobs().find(old));
  }
  const Json::Object back = restore(true);
  CHECK(back.find("replaced")->as_string() == (target / "replaced-1").string());
  CHECK(restored()->blobs().find(object));
  CHECK_FALSE(restored()->blobs().find(old));
  CHECK(Store::open({.directory = target / "replaced-1", .create = false})->blobs().find(old));
}

TEST_CASE_FIXTURE(
    BackupFixture,
    "storage/restore: what is damaged in the backup is damaged in the store, and said") {
  const Digest good = put(kLarge, 1), bad = put(kLarge, 2), lost = put(kLarge, 3);
  publish("owner/name", "one", {good, bad, lost});
  backup(true);
  damage(find_object(directory, bad));
  fs::remove(find_object(directory, lost));
  CHECK(kinds_of(restore()) == Kinds{"damaged_object", "damaged_object"});
  const auto again = restored();
  CHECK(again->blobs().find(good));
  for (const Digest& digest : {bad, lost})
    CHECK(kind_of([&] { again->blobs().open(digest); }) == ErrorKind::Corrupt);
}

TEST_CASE_FIXTURE(BackupFixture,
                  "storage/restore: an object that the disk cannot read is a finding") {
  const Digest good = put(kLarge, 1), bad = put(kLarge, 2);
  publish("owner/name", "one", {good, bad});
  backup(true);
  const BadSector sector(to_hex(bad));
  const Json::Object back = restore_local_store(
      {.backup = directory, .directory = target, .clock = &clock}, context, sector);
  CHECK(kinds_of(back) == Kinds{"damaged_object"});
  CHECK(number(back, "objects") == 1);
  CHECK(restored()->blobs().find(good));
  CHECK_FALSE(restored()->blobs().find(bad));
}

TEST_CASE_FIXTURE(BackupFixture,
                  "storage/restore: small bytes that the catalog cannot read are a finding") {
  const Digest good = put(kSmall, 1), bad = put(10 * kSmall, 2);
  publish("owner/name", "one", {good, bad});
  reopen();
  backup(true);
  damage_value(directory, random_bytes(10 * kSmall, 2));
  CHECK(kinds_of(restore()) == Kinds{"damaged_object"});
  const auto again = restored();
  CHECK(again->blobs().find(good));
  CHECK(kind_of([&] { again->blobs().open(bad); }) == ErrorKind::Corrupt);
  again->blobs().put(random_bytes(10 * kSmall, 2));
  CHECK(kinds_of(again->care().fsck({.full = true}, context)).empty());
}

TEST_CASE_FIXTURE(BackupFixture, "storage/restore: any right copy in the backup will do") {
  const Digest object = put(kLarge, 1);
  publish("owner/name", "one", {object});
  backup(true);
  damage(file_of(object));
  fsck(true);
  put(kLarge, 1);  // a new generation, which the backup never gets
  damage(file_of(object));
  fsck(true);
  CHECK(kinds_of(backup(true)) == Kinds{"damaged_object"});
  CHECK(kinds_of(restore()).empty());
  CHECK(kinds_of(restored()->care().fsck({.full = true}, context)).empty());
  CHECK(restored()->blobs().find(object) == kLarge);
}

TEST_CASE_FIXTURE(
    BackupFixture,
    "storage/restore: what was on its way out and has no file is gone, and no finding") {
  const Digest kept = put(kLarge, 1), leaving = put(kLarge, 2);
  publish("owner/name", "one", {kept});
  pass(kLeasePeriod + std::chrono::hours(1));
  gc();
  fs::remove(file_of(leaving));
  backup();
  CHECK(kinds_of(restore()).empty());
  const auto again = restored();
  CHECK(again->care().why(leaving).find("state")->as_string() == "absent");
  CHECK(objects_of(again->care().gc({.now = true}, context), "kept") == 1);
}

TEST_CASE_FIXTURE(BackupFixture,
                  "storage/restore: what a killed one of another backup left does not come along") {
  const Digest object = put(kLarge, 1);
  publish("owner/name", "one", {object});
  backup();
  const fs::path stranger =
      Layout{.root = target}.restoring() / "blobs" / "ab" / (std::string(64, 'a') + ".7");
  fs::create_directories(stranger.parent_path());
  write_file_atomically(stranger, as_bytes("of another backup"));
  write_file_atomically(stranger.parent_path() / (stranger.filename().string() + ".new"),
                        as_bytes("half"));
  CHECK(kinds_of(restore()).empty());
  CHECK(number(restored()->care().fsck({}, context), "extra_files") == 0);
  CHECK(files_below(target / "blobs") == 1);
}

TEST_CASE_FIXTURE(
    BackupFixture,
    "storage/restore: cut off amid its renames, it is gone on with, whatever comes next") {
  const Digest object = put(kLarge, 1);
  publish("owner/name", "one", {object});
  backup();
  const std::vector<std::byte> old = random_bytes(kLarge, 9);

  // No directory changes its name any more.
  struct Refusing final : Disk {
    bool rename(const fs::path& from, const fs::path& to) const override {
      if (fs::is_directory(from)) fail_errno("rename", from.string(), EIO);
      return Disk::rename(from, to);
    }
  } refusing;

  for (const char* next : {"open", "restore", "restore of another"}) {
    CAPTURE(next);
    target = extra.path() / next;
    Store::open({.directory = target})->blobs().put(old);
    CHECK(kind_of([&] {
            restore_local_store(
                {.backup = directory, .directory = target, .force = true, .clock = &clock}, context,
                refusing);
          }) == ErrorKind::Io);
    REQUIRE(fs::exists(target / "RESTORE"));
    if (std::string_view(next) == "restore") {
      CHECK(number(restore(), "objects") == 1);
    } else if (std::string_view(next) == "restore of another") {
      backup();  // what is there now is another one than was restored
      CHECK(kind_of([&] { restore(); }) == ErrorKind::Conflict);
    }
    CHECK(restored()->blobs().find(object));
    CHECK_FALSE(fs::exists(target / "RESTORE"));
    CHECK(Store::open({.directory = target / "replaced-1", .create = false})
              ->blobs()
              .find(sha256(old)));
  }
}

TEST_CASE_FIXTURE(BackupFixture,
                  "storage/restore: a newer holdfast's unfinished one is left to it") {
  fs::create_directories(target);
  write_file_atomically(target / "RESTORE",
                        as_bytes("holdfast restore\nversion = 2\nreplaced = 0\n"));
  CHECK(kind_of([&] { restored(); }) == ErrorKind::Unsupported);
  write_file_atomically(target / "RESTORE", as_bytes("notes"));
  CHECK(kind_of([&] { restored(); }) == ErrorKind::Corrupt);
  CHECK(files_below(target) == 1);
}

}  // namespace
}  // namespace holdfast::tests
