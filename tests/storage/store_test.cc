#include "storage/store.h"

#include <fstream>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/internal/local_store.h"
#include "storage/spool.h"
#include "tests/fakes/step_disk.h"
#include "tests/storage/scratch.h"
#include "tests/storage/small_disk.h"

namespace holdfast::storage {
namespace {

using tests::FakeClock;
using tests::random_bytes;
using tests::ScratchDirectory;

ErrorKind kind_of_open(const StoreOptions& options, std::string* message = nullptr) {
  try {
    Store::open(options);
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.kind();
  }
  FAIL("opened");
  return ErrorKind::Io;
}

TEST_CASE("storage/store: what was committed is there after reopening") {
  const ScratchDirectory scratch;
  const auto large = random_bytes(3 << 20, 1);
  const auto small = random_bytes(1000, 2);
  Digest large_digest, small_digest;
  {
    const auto store = Store::open({.directory = scratch.path() / "data"});
    const auto writer = store->blobs().create({.lease_key = "a", .size_bytes = large.size()});
    writer->append(large);
    large_digest = writer->commit(std::nullopt);
    small_digest = store->blobs().put(small);
  }
  const auto store = Store::open({.directory = scratch.path() / "data", .create = false});
  CHECK(large_digest == sha256(large));
  CHECK(read_object(store->blobs(), large_digest, 4 << 20) == as_text(large));
  CHECK(read_object(store->blobs(), small_digest, 4 << 20) == as_text(small));
  CHECK(store->directory() == scratch.path() / "data");
}

TEST_CASE(
    "storage/spool: it lies in the store, and what a kill left there goes with the next open") {
  const ScratchDirectory scratch;
  auto store = Store::open({.directory = scratch.path() / "data"});
  const auto spool = spool_directory(*store);
  CHECK(spool.string().starts_with((scratch.path() / "data").string() + "/"));
  CHECK(staged_bytes(*store) == 0);
  std::filesystem::create_directory(spool / "holdfast-pack-abc");
  std::ofstream(spool / "holdfast-pack-abc/tmp_pack") << "PACK";
  std::ofstream(spool / "holdfast-pack-def") << "PACK";
  {
    const auto writer = store->blobs().create({.lease_key = "a", .size_bytes = 300'000});
    writer->append(random_bytes(1000, 1));
    // All that is set aside for it; nothing of what lies in folders.
    CHECK(staged_bytes(*store) == 300'004);
  }
  store.reset();
  store = Store::open({.directory = scratch.path() / "data"});
  CHECK_FALSE(std::filesystem::exists(spool / "holdfast-pack-abc"));
  CHECK_FALSE(std::filesystem::exists(spool / "holdfast-pack-def"));
  CHECK(staged_bytes(*store) == 300'000);
}

TEST_CASE("storage/store: the layout is the one of FORMAT.md") {
  const ScratchDirectory scratch;
  const auto store = Store::open({.directory = scratch.path()});
  const auto bytes = random_bytes(300 << 10, 3);
  const auto writer = store->blobs().create({.lease_key = "a", .size_bytes = bytes.size()});
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.path() / "staging"), {}) == 1);
  writer->append(bytes);
  const std::string oid = to_hex(writer->commit(std::nullopt));
  CHECK(std::filesystem::is_empty(scratch.path() / "staging"));
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.path() / "blobs"), {}) == 256);
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(scratch.path() / "blobs" / oid.substr(0, 2)))
    files.push_back(entry.path());
  REQUIRE(files.size() == 1);
  CHECK(files.front().filename().string().starts_with(oid + "."));
  using std::filesystem::perms;
  CHECK(std::filesystem::status(files.front()).permissions() ==
        (perms::owner_read | perms::group_read | perms::others_read));
  CHECK(read_file(scratch.path() / "FORMAT").starts_with("holdfast store\nversion = 1\nuuid = "));
  for (const char* name : {"quarantine", "trash", "catalog"})
    CHECK(std::filesystem::is_directory(scratch.path() / name));
}

TEST_CASE("storage/store: a store that is not there is not made unless asked") {
  const ScratchDirectory scratch;
  CHECK(kind_of_open({.directory = scratch.path() / "no", .create = false}) == ErrorKind::NotFound);
  CHECK(!std::filesystem::exists(scratch.path() / "no"));
}

TEST_CASE("storage/store: whether anything can be stored is tried, and leaves nothing behind") {
  const ScratchDirectory scratch;
  tests::StepDisk disk;
  const auto store = open_local_store({.directory = scratch.path() / "data"}, disk);
  const auto files = [&] {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(spool_directory(*store)))
      count += entry.is_regular_file() ? 1 : 0;
    return count;
  };
  store->check_writable();
  store->check_writable();
  CHECK(files() == 0);
  const auto kind = [&] {
    try {
      store->check_writable();
    } catch (const Error& error) {
      return std::string(to_text(error.kind()));
    }
    return std::string();
  };
  CHECK(kind() == "");
  disk.arm(tests::Fault::ReadOnly, 1);
  CHECK(kind() == "io");
  disk.heal();
  CHECK(kind() == "");
  CHECK(files() == 0);
  // A catalog that could not be written is not writable until it was.
  store->blobs().put(random_bytes(1000, 1));
  disk.arm(tests::Fault::NoSpace, 1);
  CHECK_THROWS_AS(store->blobs().put(random_bytes(1000, 2)), Error);
  CHECK(kind() == "no_space");
  disk.heal();
  CHECK(kind() == "");
  store->blobs().put(random_bytes(1000, 2));
}

TEST_CASE("storage/store: nothing more is taken in when less than the catalog's room is left") {
  const tests::SmallDisk disk("192m");
  if (!disk.mounted()) return;
  const auto store = Store::open({.directory = disk.path() / "data"});
  store->check_writable();
  const auto filler = disk.path() / "filler";
  const UniqueFd fd = open_file(filler, O_RDWR | O_CREAT, 0600);
  REQUIRE(::posix_fallocate(fd.get(), 0, 112 << 20) == 0);
  try {
    store->check_writable();
    FAIL("there is room");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::NoSpace);
  }
  REQUIRE(::ftruncate(fd.get(), 0) == 0);
  store->check_writable();
}

TEST_CASE("storage/store: totals count each object once, by where it lies") {
  const ScratchDirectory scratch;
  const auto store = Store::open({.directory = scratch.path() / "data"});
  const auto small = random_bytes(1000, 2);
  store->blobs().put(small);
  store->blobs().put(small);
  store->blobs().put(random_bytes(3 << 20, 1));
  const StoreTotals totals = store->care().totals();
  CHECK(totals.small == 1);
  CHECK(totals.small_bytes == 1000);
  CHECK(totals.files == 1);
  CHECK(totals.file_bytes == 3 << 20);
}

TEST_CASE("storage/store: a second opener gets a conflict that names the directory") {
  const ScratchDirectory scratch;
  const auto store = Store::open({.directory = scratch.path()});
  std::string message;
  CHECK(kind_of_open({.directory = scratch.path()}, &message) == ErrorKind::Conflict);
  CHECK(message.find(scratch.path().string()) != message.npos);
  CHECK(message.find(std::to_string(::getpid())) != message.npos);
}

TEST_CASE("storage/store: a newer store is refused and left alone, naming both versions") {
  const ScratchDirectory scratch;
  Store::open({.directory = scratch.path()});
  const auto path = scratch.path() / "FORMAT";
  std::string text = read_file(path);
  text.replace(text.find("version = 1"), 11, "version = 7");
  std::filesystem::remove(path);
  write_file_atomically(path, as_bytes(text));
  std::string message;
  CHECK(kind_of_open({.directory = scratch.path()}, &message) == ErrorKind::Unsupported);
  CHECK(message.find("version 7") != message.npos);
  CHECK(message.find("version 1") != message.npos);
  CHECK(read_file(path) == text);
}

TEST_CASE("storage/store: a lost catalog or a strange FORMAT file is an error, not a fresh start") {
  const ScratchDirectory scratch;
  Store::open({.directory = scratch.path()});
  SUBCASE("catalog lost") {
    std::filesystem::remove_all(scratch.path() / "catalog");
    CHECK(kind_of_open({.directory = scratch.path()}) == ErrorKind::NotFound);
  }
  SUBCASE("FORMAT of something else") {
    std::filesystem::remove(scratch.path() / "FORMAT");
    std::ofstream(scratch.path() / "FORMAT") << "hello";
    CHECK(kind_of_open({.directory = scratch.path()}) == ErrorKind::Corrupt);
  }
  SUBCASE("FORMAT lost: everything else says it is a store") {
    const std::string before = read_file(scratch.path() / "FORMAT");
    std::filesystem::remove(scratch.path() / "FORMAT");
    Store::open({.directory = scratch.path()});
    CHECK(read_file(scratch.path() / "FORMAT") == before);
  }
}

}  // namespace
}  // namespace holdfast::storage
