#include <algorithm>
#include <filesystem>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/care.h"
#include "tests/storage/backup_fixture.h"
#include "tests/storage/error_kind.h"

namespace holdfast::tests {
namespace {

TEST_CASE_FIXTURE(BackupFixture, "storage/backup: restored, it is the store that it was") {
  for (const bool copy : {false, true}) {
    CAPTURE(copy);
    directory = extra.path() / (copy ? "copied" : "linked");
    target = extra.path() / (copy ? "from-copy" : "from-links");
    const Digest large = put(kLarge, 1), small = put(kSmall, 2);
    const GitOid commit = publish("owner/name", "one", {large, small});
    const Json::Object made = backup(copy);
    CHECK(number(made, "objects") == 2);
    CHECK(number(made, "bytes") == kLarge + kSmall);
    CHECK(number(made, "new_objects") == 1);
    CHECK(number(made, "linked") == (copy ? 0 : 1));
    CHECK(fs::hard_link_count(find_object(directory, large)) == (copy ? 1 : 2));

    const Json::Object back = restore();
    CHECK(number(back, "objects") == 2);
    CHECK(kinds_of(back).empty());
    CHECK(back.find("replaced")->is_null());
    CHECK_FALSE(fs::exists(target / "restoring"));
    const auto again = restored();
    CHECK(again->catalog().resolve(parse_repo_id("owner/name"), "main") == commit);
    CHECK(read_object(again->blobs(), large, kLarge) == as_text(random_bytes(kLarge, 1)));
    CHECK(kinds_of(again->care().fsck({.full = true}, context)).empty());
    // Alive, not a picture: it takes new objects and loses none.
    again->blobs().put(random_bytes(kLarge, 3));
    CHECK(fs::hard_link_count(find_object(target / "blobs", large)) == 1);
  }
}

TEST_CASE_FIXTURE(BackupFixture,
                  "storage/backup: the next one copies what is new, and what went goes") {
  const Digest first = put(kLarge, 1), second = put(kLarge, 2);
  publish("owner/name", "one", {first});
  publish("other/name", "two", {second});
  backup();
  CHECK(files_below(directory / "blobs") == 2);
  CHECK(number(backup(), "new_objects") == 0);

  store->catalog().remove(parse_repo_id("other/name"), std::nullopt);
  gc({.now = true});
  publish("third/name", "three", {put(kLarge, 3)});
  const Json::Object made = backup();
  CHECK(number(made, "new_objects") == 1);
  CHECK(number(made, "objects") == 2);
  CHECK(files_below(directory / "blobs") == 2);
  CHECK(find_object(directory, second).empty());
  const auto catalogs = std::ranges::count_if(
      fs::directory_iterator(directory), [](const auto& entry) { return entry.is_directory(); });
  CHECK(catalogs == 2);  // blobs/ and one catalog
  restore();
  CHECK(kinds_of(restored()->care().fsck({.full = true}, context)).empty());
}

TEST_CASE_FIXTURE(BackupFixture, "storage/backup: what is on its way out may lack its file") {
  const Digest kept = put(kLarge, 1), leaving = put(kLarge, 2);
  publish("owner/name", "one", {kept});
  pass(kLeasePeriod + std::chrono::hours(1));
  gc();
  REQUIRE_FALSE(store->blobs().find(leaving));
  fs::remove(file_of(leaving));
  const Json::Object made = backup();
  CHECK(kinds_of(made).empty());
  CHECK(number(made, "objects") == 1);
}

TEST_CASE_FIXTURE(BackupFixture, "storage/backup: a directory that is not for it stays as it is") {
  put(kLarge, 1);
  fs::create_directories(directory);
  write_file_atomically(directory / "notes.txt", as_bytes("mine"));
  CHECK(kind_of([&] { backup(); }) == ErrorKind::Conflict);
  CHECK(files_below(directory) == 1);
  CHECK(kind_of([&] { restore(); }) == ErrorKind::NotFound);
  directory = scratch.path() / "backup";
  CHECK(kind_of([&] { backup(); }) == ErrorKind::Invalid);
  CHECK_FALSE(fs::exists(directory));
  directory = extra.path() / "good";
  backup();
  CareFixture other;
  CHECK(kind_of([&] { other.store->care().backup({.directory = directory}, context); }) ==
        ErrorKind::Conflict);
}

TEST_CASE_FIXTURE(BackupFixture,
                  "storage/backup: an object that is damaged later is well again in the copy") {
  const Digest object = put(kLarge, 1);
  publish("owner/name", "one", {object});
  backup(true);
  damage(file_of(object));
  CHECK(kinds_of(fsck(true)) == Kinds{"damaged_object"});
  CHECK(kinds_of(backup(true)) == Kinds{"damaged_object"});
  CHECK(kinds_of(restore()).empty());
  CHECK(restored()->blobs().find(object) == kLarge);
}

TEST_CASE_FIXTURE(BackupFixture, "storage/backup: wrong bytes are found while they are copied") {
  const Digest object = put(kLarge, 1);
  damage(file_of(object));
  CHECK(kinds_of(backup(true)) == Kinds{"damaged_object"});
  CHECK(find_object(directory, object).empty());
  CHECK(kind_of([&] { store->blobs().open(object); }) == ErrorKind::Corrupt);
}

TEST_CASE_FIXTURE(BackupFixture, "storage/backup: one that stops leaves the one before") {
  publish("owner/name", "one", {put(kLarge, 1)});
  backup();
  publish("owner/name", "two", {put(kLarge, 2)});
  QuietContext stopped;
  stopped.source.request_stop();
  CHECK(kind_of([&] { store->care().backup({.directory = directory}, stopped); }) ==
        ErrorKind::Cancelled);
  CHECK(number(restore(), "objects") == 1);
  CHECK(number(backup(), "objects") == 2);
}

TEST_CASE_FIXTURE(BackupFixture, "storage/backup: with --copy nothing stays linked to the store") {
  const Digest object = put(kLarge, 1);
  publish("owner/name", "one", {object});
  reopen();  // so that the catalog has files to link
  backup();
  REQUIRE(fs::hard_link_count(find_object(directory, object)) == 2);
  const Json::Object made = backup(true);
  CHECK(number(made, "linked") == 0);
  CHECK(number(made, "new_objects") == 1);
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    CAPTURE(entry.path().string());
    if (entry.is_regular_file()) CHECK(entry.hard_link_count() == 1);
  }
  CHECK(number(backup(true), "new_objects") == 0);
  CHECK(kinds_of(restore()).empty());
}

TEST_CASE_FIXTURE(BackupFixture,
                  "storage/backup: an object that the disk cannot read is a finding") {
  const Digest good = put(kLarge, 1), bad = put(kLarge, 2);
  publish("owner/name", "one", {good, bad});
  const BadSector sector(to_hex(bad));
  disk = &sector;
  reopen();
  const Json::Object made = backup(true);
  CHECK(kinds_of(made) == Kinds{"damaged_object"});
  CHECK(number(made, "objects") == 1);
  CHECK(files_below(directory / "blobs") == 1);
  store.reset();  // before the disk that it borrows
}

TEST_CASE_FIXTURE(BackupFixture,
                  "storage/backup: an earlier copy stays until there is a right one after it") {
  const Digest object = put(kLarge, 1);
  publish("owner/name", "one", {object});
  backup(true);
  damage(file_of(object));
  fsck(true);
  put(kLarge, 1);  // a new generation
  damage(file_of(object));
  // Found while it is copied, when the catalog's copy has been made.
  CHECK(kinds_of(backup(true)) == Kinds{"damaged_object"});
  CHECK(files_below(directory / "blobs") == 1);
  CHECK(kinds_of(restore()).empty());
  CHECK(restored()->blobs().find(object) == kLarge);
}

TEST_CASE_FIXTURE(
    BackupFixture,
    "storage/backup: what a first one left that was cut off, or mkfs, is in nobody's way") {
  put(kLarge, 1);
  fs::create_directories(directory / "lost+found");
  write_file_atomically(directory / "BACKUP.new", as_bytes("half"));
  CHECK(number(backup(), "objects") == 1);
}

}  // namespace
}  // namespace holdfast::tests
