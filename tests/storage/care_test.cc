#include "storage/care.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/internal/keys.h"
#include "storage/limits.h"
#include "storage/store.h"
#include "tests/storage/care_fixture.h"
#include "tests/storage/error_kind.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;
using namespace holdfast::tests;

const RepoId kRepo = parse_repo_id("owner/name");

TEST_CASE("storage/fsck: a healthy store has no findings") {
  CareFixture fixture;
  fixture.publish("owner/name", "one", {fixture.put(kSmall, 1), fixture.put(kLarge, 2)});
  for (const bool full : {false, true}) {
    const Json::Object result = fixture.fsck(full);
    CHECK(kinds_of(result).empty());
    CHECK(result.find("objects")->as_uint() == 2);
    CHECK(result.find("bytes")->as_uint() == kSmall + kLarge);
    CHECK(result.find("extra_files")->as_uint() == 0);
  }
}

TEST_CASE("storage/fsck: wrong bytes are found by a full check and never served again") {
  CareFixture fixture;
  const Digest object = fixture.put(kLarge, 2);
  fixture.publish("owner/name", "one", {object});
  damage(fixture.file_of(object));
  CHECK(kinds_of(fixture.fsck(false)).empty());
  CHECK(kinds_of(fixture.fsck(true)) == Kinds{"damaged_object"});
  CHECK_THROWS_AS(fixture.store->blobs().open(object), Error);
  CHECK_FALSE(fixture.store->blobs().find(object));
  CHECK(fs::directory_iterator(fixture.scratch.path() / "quarantine") != fs::directory_iterator());
  CHECK(kinds_of(fixture.fsck(false)) == Kinds{"damaged_object"});
  CHECK(fixture.put(kLarge, 2) == object);  // what the next sync does
  CHECK(kinds_of(fixture.fsck(true)).empty());
}

TEST_CASE("storage/fsck: an object that could not be opened is not called damaged") {
  CareFixture fixture;
  const Digest object = fixture.put(kLarge, 2);
  fixture.publish("owner/name", "one", {object});
  const fs::path file = fixture.file_of(object), aside = fixture.extra.path() / "aside";
  fs::rename(file, aside);
  fs::create_symlink(file, file);  // ELOOP, where a process could also lack a descriptor
  const auto kind = kind_of([&] { fixture.fsck(true); });
  fs::remove(file);
  fs::rename(aside, file);
  CHECK(kind == ErrorKind::Io);
  CHECK(kinds_of(fixture.fsck(true)).empty());
}

TEST_CASE("storage/fsck: missing and unknown files") {
  CareFixture fixture;
  const Digest object = fixture.put(kLarge, 2);
  fixture.publish("owner/name", "one", {object});
  const fs::path file = fixture.file_of(object);
  fs::copy_file(file, file.parent_path() / (to_hex(object) + ".999"));
  const Json::Object extra = fixture.fsck(false);
  CHECK(kinds_of(extra).empty());
  CHECK(extra.find("extra_files")->as_uint() == 1);
  CHECK(extra.find("extra_bytes")->as_uint() == kLarge);
  fs::remove(file);
  CHECK(kinds_of(fixture.fsck(false)) == Kinds{"damaged_object"});
}

TEST_CASE("storage/fsck: a revision without its git objects") {
  CareFixture fixture;
  Publication bare;
  bare.repository = {.id = kRepo, .origin = "local", .default_branch = "main"};
  bare.revision.commit = bare.revision.git_commit = bare.revision.tree =
      git_object_id("commit", as_bytes("gone"));
  fixture.store->catalog().publish(bare);
  CHECK(kinds_of(fixture.fsck(false)) == Kinds{"missing_git_object", "missing_git_object"});
}

TEST_CASE(
    "storage/fsck: a file without the row that keeps its object stops gc until it is mended") {
  CareFixture fixture;
  const Digest object = fixture.put(kLarge, 1);
  const GitOid commit = fixture.publish("owner/name", "one", {object});
  change_rows(fixture, [&](Batch& batch) {
    batch.erase(Family::Ref, keys::reference(object, kRepo, commit, "file-0"));
  });
  CHECK(kinds_of(fixture.fsck(false)) == Kinds{"missing_reference"});
  CHECK_THROWS_WITH_AS(fixture.gc({.now = true}), doctest::Contains("--repair"), Error);
  fixture.reopen();
  CHECK_THROWS_AS(fixture.gc({.now = true}), Error);
  const Json::Object repaired = fixture.store->care().fsck({.repair = true}, fixture.context);
  CHECK(repaired.find("mended")->as_uint() == 1);
  CHECK(kinds_of(fixture.fsck(false)).empty());
  CHECK(objects_of(fixture.gc({.now = true}), "kept") == 1);
  CHECK(fixture.store->blobs().find(object));
}

TEST_CASE("storage/fsck: a repair asks one upstream for each damaged object") {
  CareFixture fixture;
  const Digest both = fixture.put(kLarge, 1), local = fixture.put(kLarge, 2),
               mirrored = fixture.put(kLarge, 3), nobodys = fixture.put(kLarge, 4);
  fixture.publish("local/one", "one", {both, local});
  fixture.origin = "https://hub.example";
  const GitOid commit = fixture.publish("owner/name", "two", {both, mirrored});
  for (const Digest& object : {both, local, mirrored, nobodys}) damage(fixture.file_of(object));
  const Json::Object result =
      fixture.store->care().fsck({.full = true, .repair = true}, fixture.context);
  CHECK(kinds_of(result).size() == 4);
  const Json::Array& repairs = result.find("repairs")->as_array();
  REQUIRE(repairs.size() == 1);
  CHECK(repairs[0].find("repo")->as_string() == "model/owner/name");
  CHECK(repairs[0].find("commit")->as_string() == to_hex(commit));
  CHECK(repairs[0].find("endpoint")->as_string() == "https://hub.example");
  CHECK(repairs[0].find("objects")->as_uint() == 2);
  Kinds hopeless;
  for (const Json& row : result.find("hopeless")->as_array())
    hopeless.push_back(row.find("name")->as_string());
  Kinds expected = {to_hex(local), to_hex(nobodys)};
  std::ranges::sort(expected);
  CHECK(hopeless == expected);
}

TEST_CASE("storage/gc: a row that cannot be read stops it, now and later, until fsck is content") {
  CareFixture fixture;
  const Digest object = fixture.put(kLarge, 1);
  const std::string bad(32, '\xFF');
  fixture.pass(kLeasePeriod + std::chrono::hours(1));
  change_rows(fixture, [&](Batch& batch) { batch.put(Family::Blob, bad, "no row"); });
  CHECK(kind_of([&] { fixture.gc(); }) == ErrorKind::Corrupt);
  CHECK(fixture.store->blobs().find(object));
  change_rows(fixture, [&](Batch& batch) { batch.erase(Family::Blob, bad); });
  CHECK(kind_of([&] { fixture.gc(); }) == ErrorKind::Conflict);
  CHECK(kinds_of(fixture.fsck(false)).empty());
  CHECK(objects_of(fixture.gc(), "condemned") == 1);
}

TEST_CASE("storage/gc: what a revision or a lease names stays") {
  CareFixture fixture;
  const Digest named = fixture.put(kLarge, 1), leased = fixture.put(kSmall, 2);
  fixture.publish("owner/name", "one", {named});
  const Json::Object result = fixture.gc({.now = true});
  CHECK(objects_of(result, "kept") == 2);
  CHECK(objects_of(result, "condemned") == 0);
  CHECK(fixture.store->blobs().find(named));
  CHECK(fixture.store->blobs().find(leased));
}

TEST_CASE("storage/gc: what an upload left behind goes when its lease is over, not before") {
  CareFixture fixture;
  const auto staged = [&] {
    const fs::directory_iterator files(fixture.scratch.path() / "staging");
    return std::distance(begin(files), end(files));
  };
  const auto start = [&](const char* key) {
    auto writer = fixture.store->blobs().create({.lease_key = key, .size_bytes = kLarge});
    writer->append(random_bytes(1000, 1));
    return writer;
  };
  start("upload/abandoned");
  const auto slow = start("upload/slow");
  fixture.pass(kLeasePeriod - std::chrono::hours(1));
  fixture.gc();
  CHECK(staged() == 2);
  fixture.pass(std::chrono::hours(2));
  fixture.gc({.dry_run = true});
  CHECK(staged() == 2);
  fixture.gc();
  CHECK(staged() == 1);
  // A writer that still lives goes on.
  slow->append(random_bytes(kLarge - 1000, 2));
  CHECK_NOTHROW(slow->commit(std::nullopt));
  CHECK_NOTHROW(start("upload/abandoned"));
}

TEST_CASE("storage/gc: leases that are over cost no rows") {
  CareFixture fixture;
  for (std::uint64_t seed = 0; seed < 20; ++seed) fixture.put(kSmall, seed);
  fixture.pass(kLeasePeriod);
  fixture.put(kSmall, 4711);
  fixture.gc();
  fixture.store.reset();
  const Database database(fixture.scratch.path() / "catalog", Database::Use::Existing);
  std::size_t rows = 0;
  database.scan(Family::Lease, keys::kLeases, [&](std::string_view, std::string_view) {
    ++rows;
    return true;
  });
  CHECK(rows == 1);
}

TEST_CASE("storage/gc: condemned, removed after the grace, unlinked after the trash") {
  CareFixture fixture;
  const Digest large = fixture.put(kLarge, 1), small = fixture.put(kSmall, 2);
  const fs::path file = fixture.file_of(large);
  fixture.pass(kLeasePeriod + std::chrono::hours(1));
  CHECK(objects_of(fixture.gc({.dry_run = true}), "condemned") == 2);
  CHECK(fixture.store->blobs().find(large));
  CHECK(objects_of(fixture.gc(), "condemned") == 2);
  CHECK_FALSE(fixture.store->blobs().find(large));
  CHECK_FALSE(fixture.store->blobs().find(small));
  CHECK(fs::exists(file));
  fixture.reopen();
  CHECK(objects_of(fixture.gc(), "waiting") == 2);
  fixture.pass(kGcGrace);
  const Json::Object removed = fixture.gc();
  CHECK(objects_of(removed, "removed") == 2);
  CHECK(objects_of(removed, "freed") == 1);
  CHECK_FALSE(fs::exists(file));
  CHECK(fs::exists(fixture.scratch.path() / "trash" / file.filename()));
  fixture.pass(kTrashPeriod);
  CHECK(objects_of(fixture.gc(), "freed") == 1);
  CHECK(fs::is_empty(fixture.scratch.path() / "trash"));
  CHECK(objects_of(fixture.gc(), "waiting") == 0);
  CHECK(kinds_of(fixture.fsck(true)).empty());
}

// Through both waits of gc; nothing of it is left behind either.
void check_outlives_gc(CareFixture& fixture, const Digest& object, std::size_t size) {
  fixture.pass(kGcGrace);
  fixture.gc();
  fixture.pass(kTrashPeriod);
  fixture.gc();
  CHECK(read_object(fixture.store->blobs(), object, kLarge).size() == size);
  const Json::Object checked = fixture.fsck(true);
  CHECK(kinds_of(checked).empty());
  CHECK(checked.find("extra_files")->as_uint() == 0);
}

TEST_CASE("storage/gc: an object that comes in again while condemned is a new copy and stays") {
  for (const std::size_t size : {kSmall, kLarge}) {
    CAPTURE(size);
    CareFixture fixture;
    const Digest object = fixture.put(size, 1);
    fixture.pass(kLeasePeriod + std::chrono::hours(1));
    fixture.gc();
    REQUIRE_FALSE(fixture.store->blobs().find(object));
    CHECK(fixture.put(size, 1) == object);
    fixture.publish("owner/name", "one", {object});
    check_outlives_gc(fixture, object, size);
  }
}

TEST_CASE("storage/gc: a publication brings back what was condemned and is still there") {
  for (const std::size_t size : {kSmall, kLarge}) {
    CAPTURE(size);
    CareFixture fixture;
    const Digest object = fixture.put(size, 1);
    fixture.pass(kLeasePeriod + std::chrono::hours(1));
    fixture.gc();
    REQUIRE_FALSE(fixture.store->blobs().find(object));
    fixture.publish("owner/name", "one", {object});
    CHECK(fixture.store->blobs().find(object) == size);
    check_outlives_gc(fixture, object, size);
  }
}

TEST_CASE("storage/gc: no publication brings back what was damaged") {
  CareFixture fixture;
  const Digest object = fixture.put(kLarge, 1);
  const GitOid commit = fixture.publish("owner/name", "one", {object});
  damage(fixture.file_of(object));
  REQUIRE(kinds_of(fixture.fsck(true)) == Kinds{"damaged_object"});
  fixture.store->catalog().remove(kRepo, commit);
  fixture.pass(kLeasePeriod + std::chrono::hours(1));
  CHECK(objects_of(fixture.gc(), "condemned") == 1);
  CHECK(kind_of([&] { fixture.publish("owner/name", "two", {object}); }) == ErrorKind::NotFound);
  fixture.put(kLarge, 1);
  fixture.publish("owner/name", "two", {object});
  fixture.pass(kTrashPeriod + std::chrono::hours(1));
  fixture.gc();
  CHECK(kinds_of(fixture.fsck(true)).empty());
}

TEST_CASE("storage/gc: what no one may read any more takes no room") {
  CareFixture fixture;
  const Digest object = fixture.put(kLarge, 1);
  fixture.store->blobs().open(object);
  const auto open_files = [] {
    std::size_t deleted = 0;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      if (fs::read_symlink(entry.path(), gone).string().ends_with(" (deleted)")) ++deleted;
    }
    return deleted;
  };
  const std::size_t before = open_files();
  fixture.pass(kLeasePeriod + std::chrono::hours(1));
  CHECK(objects_of(fixture.gc({.now = true}), "freed") == 1);
  CHECK(open_files() == before);
}

TEST_CASE(
    "storage/gc: a git blob that the catalog holds itself outlives an object of the same bytes") {
  CareFixture fixture;
  const std::string text = "*.safetensors filter=lfs\n";
  const GitOid blob = git_object_id("blob", as_bytes(text));
  Publication partial;
  partial.repository = {.id = kRepo, .origin = "local", .default_branch = "main"};
  const GitOid commit = git_object_id("commit", as_bytes(std::string_view("partial")));
  partial.revision = {.commit = commit, .git_commit = commit, .tree = commit};
  partial.files = {{.path = ".gitattributes", .size_bytes = text.size(), .blob = blob}};
  partial.git_objects = {{commit, {.type = "commit", .bytes = "partial"}},
                         {blob, {.type = "blob", .bytes = text}}};
  fixture.store->catalog().publish(partial);

  const Digest object = fixture.store->blobs().put(as_bytes(text));
  fixture.store->catalog().remember_blobs(std::vector{std::pair(blob, object)});
  CHECK(fixture.store->catalog().find_blob_object(blob) == object);
  fixture.pass(kLeasePeriod + std::chrono::hours(1));
  CHECK(objects_of(fixture.gc({.now = true}), "freed") == 1);
  CHECK_FALSE(fixture.store->catalog().find_blob_object(blob));
  const auto held = fixture.store->catalog().find_git_object(blob);
  REQUIRE(held);
  CHECK(held->bytes == text);
}

TEST_CASE("storage/gc: a file that no row names leaves as an object does") {
  CareFixture fixture;
  const Digest object = fixture.put(kLarge, 1);
  fixture.publish("owner/name", "one", {object});
  const fs::path file = fixture.file_of(object);
  const fs::path extra = file.parent_path() / (to_hex(object) + ".999");
  fs::copy_file(file, extra);
  CHECK(objects_of(fixture.gc({.dry_run = true}), "condemned") == 1);
  CHECK(fixture.fsck(false).find("extra_files")->as_uint() == 1);
  CHECK(objects_of(fixture.gc(), "condemned") == 1);
  CHECK(fs::exists(extra));
  CHECK(fixture.fsck(false).find("extra_files")->as_uint() == 0);  // it is on its way out
  fixture.pass(kGcGrace);
  CHECK(objects_of(fixture.gc(), "removed") == 1);
  CHECK_FALSE(fs::exists(extra));
  fixture.pass(kTrashPeriod);
  CHECK(objects_of(fixture.gc(), "freed") == 1);
  CHECK(fs::is_empty(fixture.scratch.path() / "trash"));
  CHECK(read_object(fixture.store->blobs(), object, kLarge).size() == kLarge);
}

TEST_CASE("storage/gc: files of a catalog that was lost need force too") {
  CareFixture fixture;
  const fs::path directory = fixture.scratch.path() / "blobs" / "ab";
  for (std::uint64_t i = 0; i < kGcObjectsMin; ++i)
    write_file_atomically(directory / ("ab" + std::string(62, '0') + "." + std::to_string(i)), {});
  CHECK_THROWS_WITH_AS(fixture.gc({.now = true}), doctest::Contains("--force"), Error);
  CHECK(objects_of(fixture.gc({.now = true, .force = true}), "freed") == kGcObjectsMin);
  CHECK(fs::is_empty(directory));
}

TEST_CASE("storage/gc: readers keep what they opened") {
  CareFixture fixture;
  const Digest object = fixture.put(kLarge, 1);
  const auto reader = fixture.store->blobs().open(object);
  fixture.pass(kLeasePeriod + std::chrono::hours(1));
  CHECK(objects_of(fixture.gc({.now = true}), "freed") == 1);
  CHECK_FALSE(fs::exists(fixture.file_of(object)));
  std::vector<std::byte> bytes(kLarge);
  reader->read(0, bytes);
  CHECK(sha256(bytes) == object);
}

TEST_CASE("storage/gc: losing nearly everything at once needs force") {
  CareFixture fixture;
  for (std::uint64_t i = 0; i < kGcObjectsMin; ++i) fixture.put(10, i);
  fixture.pass(kLeasePeriod + std::chrono::hours(1));
  CHECK_THROWS_WITH_AS(fixture.gc(), doctest::Contains("--force"), Error);
  CHECK(objects_of(fixture.gc({.force = true}), "condemned") == kGcObjectsMin);
}

TEST_CASE("storage/gc: publications beside it lose nothing") {
  CareFixture fixture;
  std::atomic<bool> done = false;
  std::thread collector([&] {
    while (!done) fixture.store->care().gc({.now = true, .force = true}, fixture.context);
  });
  for (std::uint64_t i = 0; i < 60; ++i) {
    const Digest object = fixture.put(i % 2 == 0 ? kSmall : kLarge, i % 7);
    fixture.publish("owner/name", std::to_string(i), {object});
    fixture.store->catalog().remove(kRepo, std::nullopt);
    const Digest again = fixture.put(i % 2 == 0 ? kSmall : kLarge, i % 7);
    fixture.publish("owner/name", std::to_string(i), {again});
    CHECK(read_object(fixture.store->blobs(), again, kLarge).size() > 0);
  }
  done = true;
  collector.join();
  CHECK(kinds_of(fixture.fsck(true)).empty());
}

TEST_CASE("storage/gc: why says who keeps an object") {
  CareFixture fixture;
  const Digest object = fixture.put(kSmall, 1);
  const auto count = [&](std::string_view key) {
    return fixture.store->care().why(object).find(key)->as_array(key).size();
  };
  CHECK(count("leases") == 1);
  CHECK(count("references") == 0);
  fixture.publish("owner/name", "one", {object});
  CHECK(count("leases") == 0);
  CHECK(count("references") == 1);
  const Json::Object absent = fixture.store->care().why(Digest());
  CHECK(absent.find("state")->as_string() == "absent");
}

TEST_CASE("storage/catalog: a removed revision takes its refs along and leaves the others") {
  CareFixture fixture;
  const Digest old_object = fixture.put(kLarge, 1), shared = fixture.put(kSmall, 2);
  const GitOid first = fixture.publish("owner/name", "one", {old_object, shared});
  const Ref tag{"refs/tags/v1", first};
  fixture.store->catalog().set_refs(kRepo, {&tag, 1});
  const GitOid second = fixture.publish("owner/name", "two", {shared});
  Catalog& catalog = fixture.store->catalog();
  const Removal removal = catalog.remove(kRepo, first);
  CHECK(removal.revisions == std::vector{first});
  CHECK(removal.refs == Kinds{"refs/tags/v1"});
  CHECK_FALSE(removal.repository);
  CHECK_FALSE(catalog.find_revision(kRepo, first));
  CHECK_FALSE(catalog.find_file(kRepo, first, "file-0"));
  CHECK(catalog.resolve(kRepo, "main") == second);
  CHECK(objects_of(fixture.gc({.now = true}), "freed") == 1);
  CHECK(fixture.store->blobs().find(shared));
  CHECK_THROWS_AS(catalog.remove(kRepo, first), Error);
  const Removal last = catalog.remove(kRepo, second);
  CHECK(last.repository);
  CHECK_FALSE(catalog.find_repository(kRepo));
  CHECK_THROWS_AS(catalog.remove(kRepo, std::nullopt), Error);
  CHECK(kinds_of(fixture.fsck(true)).empty());
}

TEST_CASE("storage/stats: what each repository takes, and what it would free") {
  CareFixture fixture;
  const Digest own = fixture.put(kLarge, 1), shared = fixture.put(kSmall, 2);
  fixture.put(500, 3);  // nobody's
  fixture.publish("owner/name", "one", {own, shared});
  fixture.publish("owner/name", "two", {own, shared});
  fixture.publish("other/name", "three", {shared, shared});
  const Json::Object stats = fixture.store->care().stats();
  CHECK(stats.find("objects")->as_uint() == 3);
  CHECK(stats.find("bytes")->as_uint() == kLarge + kSmall + 500);
  CHECK(stats.find("unreferenced_bytes")->as_uint() == 500);
  const Json::Array& rows = stats.find("repositories")->as_array();
  REQUIRE(rows.size() == 2);
  const auto number = [&](std::size_t row, std::string_view key) {
    return rows[row].find(key)->as_uint(key);
  };
  CHECK(rows[1].find("repo")->as_string() == "model/owner/name");
  CHECK(number(1, "revisions") == 2);
  CHECK(number(1, "files") == 4);
  CHECK(number(1, "bytes") == kLarge + kSmall);
  CHECK(number(1, "own_bytes") == kLarge);
  CHECK(number(0, "bytes") == kSmall);
  CHECK(number(0, "own_bytes") == 0);
}

}  // namespace
}  // namespace holdfast::storage
