#include "storage/internal/local_blob_store.h"

#include <atomic>
#include <cerrno>
#include <optional>
#include <thread>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/internal/local_store.h"
#include "storage/limits.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/scratch.h"
#include "tests/storage/small_disk.h"

namespace holdfast::storage {
namespace {

using tests::FakeClock;
using tests::kind_of;
using tests::random_bytes;
using tests::ScratchDirectory;
using tests::SmallDisk;

constexpr std::size_t kLarge = 1 << 20;

// Fails the n-th sync from now on, as a disk does that lost a page.
class FaultyDisk final : public Disk {
 public:
  void fail_after(int syncs) { left_ = syncs; }

  void sync_data(int fd, const std::filesystem::path& path) const override {
    strike(path);
    Disk::sync_data(fd, path);
  }

  void sync_directory(const std::filesystem::path& directory) const override {
    strike(directory);
    Disk::sync_directory(directory);
  }

 private:
  void strike(const std::filesystem::path& path) const {
    if (left_.fetch_sub(1) == 0) fail_errno("fsync", path.string(), EIO);
  }

  mutable std::atomic<int> left_{1 << 30};
};

Digest store_object(BlobStore& blobs, std::span<const std::byte> bytes, const std::string& key) {
  const auto writer = blobs.create({.lease_key = key, .size_bytes = bytes.size()});
  for (const ByteRange& gap : writer->missing())
    writer->write_at(gap.offset, bytes.subspan(gap.offset, gap.length));
  return writer->commit(sha256(bytes));
}

std::vector<std::filesystem::path> blob_files(const std::filesystem::path& data) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data / "blobs"))
    if (entry.is_regular_file()) files.push_back(entry.path());
  return files;
}

std::size_t staged_files(const std::filesystem::path& data) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(data / "staging"), {}));
}

TEST_CASE("storage/local_blob_store: a lost or cut file is found out, reported, and heals") {
  const ScratchDirectory scratch;
  const auto bytes = random_bytes(kLarge, 1);
  const Digest digest = sha256(bytes);
  for (const bool cut : {false, true}) {
    CAPTURE(cut);
    const auto data = scratch.path() / (cut ? "cut" : "lost");
    store_object(Store::open({.directory = data})->blobs(), bytes, "a");
    const auto file = blob_files(data).front();
    cut ? std::filesystem::resize_file(file, 1000)
        : static_cast<void>(std::filesystem::remove(file));
    const auto store = Store::open({.directory = data});
    SUBCASE("noticed by a reader") {
      const auto generation = store->generation();
      CHECK(kind_of([&] { store->blobs().open(digest); }) == ErrorKind::Corrupt);
      CHECK(store->generation() > generation);
      CHECK(!store->blobs().find(digest));
    }
    SUBCASE("noticed by a writer") {}
    store_object(store->blobs(), bytes, "b");
    CHECK(store->blobs().find(digest) == kLarge);
    CHECK(read_object(store->blobs(), digest, kLarge) == as_text(bytes));
    // The new copy has a name of its own.
    for (const auto& now : blob_files(data))
      CHECK((now == file) == (std::filesystem::file_size(now) == 1000));
  }
}

TEST_CASE("storage/local_blob_store: after a failed sync nothing is stored and nothing is kept") {
  // Syncs of one commit: the staged file, then the directory.
  for (const int nth : {0, 1}) {
    CAPTURE(nth);
    const ScratchDirectory scratch;
    const FaultyDisk* view = nullptr;
    FaultyDisk disk;
    view = &disk;
    const auto store = open_local_store({.directory = scratch.path()}, *view);
    const auto bytes = random_bytes(kLarge, 2);
    const auto writer = store->blobs().create({.lease_key = "a", .size_bytes = kLarge});
    writer->append(bytes);
    disk.fail_after(nth);
    CHECK(kind_of([&] { writer->commit(std::nullopt); }) == ErrorKind::Io);
    CHECK(!store->blobs().find(sha256(bytes)));
    CHECK(blob_files(scratch.path()).empty());
    CHECK(staged_files(scratch.path()) == 0);
    CHECK(kind_of([&] { writer->append(bytes); }) == ErrorKind::Invalid);
    store_object(store->blobs(), bytes, "b");
    CHECK(store->blobs().find(sha256(bytes)) == kLarge);
  }
}

TEST_CASE("storage/local_blob_store: a failed checkpoint gives the staged file up") {
  const ScratchDirectory scratch;
  FaultyDisk disk;
  const auto store = open_local_store({.directory = scratch.path()}, disk);
  const auto bytes = random_bytes(kLarge, 3);
  auto writer = store->blobs().create({.lease_key = "a", .size_bytes = kLarge});
  writer->write_at(0, std::span(bytes).first(kLarge / 2));
  disk.fail_after(0);
  CHECK(kind_of([&] { writer->checkpoint(); }) == ErrorKind::Io);
  CHECK(kind_of([&] { writer->append(bytes); }) == ErrorKind::Invalid);
  writer.reset();
  CHECK(staged_files(scratch.path()) == 0);
  const auto again = store->blobs().create({.lease_key = "a", .size_bytes = kLarge});
  CHECK(again->missing() == std::vector<ByteRange>{{0, kLarge}});
}

TEST_CASE("storage/local_blob_store: staged bytes resume in a later process") {
  const ScratchDirectory scratch;
  const auto bytes = random_bytes(kLarge, 4);
  {
    const auto store = Store::open({.directory = scratch.path()});
    const auto writer = store->blobs().create({.lease_key = "a", .size_bytes = kLarge});
    writer->write_at(0, std::span(bytes).first(300'000));
    writer->checkpoint();
    writer->write_at(500'000, std::span(bytes).subspan(500'000, 1000));
  }
  const auto store = Store::open({.directory = scratch.path()});
  const auto writer = store->blobs().create({.lease_key = "a", .size_bytes = kLarge});
  CHECK(writer->missing() ==
        std::vector<ByteRange>{{300'000, 200'000}, {501'000, kLarge - 501'000}});
  writer->append(std::span(bytes).subspan(300'000, 200'000));
  writer->write_at(501'000, std::span(bytes).subspan(501'000));
  CHECK(writer->commit(std::nullopt) == sha256(bytes));
}

TEST_CASE("storage/local_blob_store: leases expire by the clock, and with them what they staged") {
  const ScratchDirectory scratch;
  FakeClock clock;
  const StoreOptions options{.directory = scratch.path(), .clock = &clock};
  const auto bytes = random_bytes(kLarge, 5);
  const auto start = [&](Store& store) {
    return store.blobs().create({.lease_key = "a", .size_bytes = kLarge});
  };
  {
    const auto store = Store::open(options);
    start(*store)->write_at(0, std::span(bytes).first(1000));
  }
  clock.advance(kLeasePeriod - std::chrono::seconds(1));
  CHECK(staged_files(scratch.path()) == 1);
  {
    const auto store = Store::open(options);
    CHECK(start(*store)->missing().front().offset == 1000);
    // Whoever writes renews.
    start(*store)->write_at(1000, std::span(bytes).subspan(1000, 1000));
  }
  clock.advance(kLeasePeriod - std::chrono::seconds(1));
  {
    const auto store = Store::open(options);
    CHECK(start(*store)->missing().front().offset == 2000);
  }
  clock.advance(std::chrono::seconds(2));
  const auto store = Store::open(options);
  CHECK(staged_files(scratch.path()) == 0);
  CHECK(start(*store)->missing().front().offset == 0);
}

TEST_CASE("storage/local_blob_store: two that put the same bytes at once both succeed") {
  const ScratchDirectory scratch;
  const auto store = Store::open({.directory = scratch.path()});
  const auto bytes = random_bytes(kLarge, 6);
  // As if the first were in the midst of it.
  auto first =
      store->blobs().create({.lease_key = put_lease_key(sha256(bytes)), .size_bytes = kLarge});
  std::optional<ErrorKind> refused;
  std::thread second([&] {
    try {
      store->blobs().put(bytes);
    } catch (const Error& error) {
      refused = error.kind();
    }
  });
  first->append(bytes);
  first->commit(std::nullopt);
  first.reset();
  second.join();
  CHECK_FALSE(refused.has_value());
  CHECK(store->blobs().find(sha256(bytes)) == kLarge);
}

TEST_CASE("storage/local_blob_store: a lease says for whom an object came, as long as it lasts") {
  const ScratchDirectory scratch;
  FakeClock clock;
  const StoreOptions options{.directory = scratch.path(), .clock = &clock};
  const auto large = random_bytes(kLarge, 7), small = random_bytes(1000, 8);
  {
    const auto store = Store::open(options);
    for (const auto& bytes : {large, small}) {
      const auto writer =
          store->blobs().create({.lease_key = "upload/a/1", .size_bytes = bytes.size()});
      writer->append(bytes);
      CHECK_FALSE(store->blobs().is_leased("upload/a/", sha256(bytes)));
      writer->commit(std::nullopt);
      CHECK(store->blobs().is_leased("upload/a/", sha256(bytes)));
    }
  }
  const auto store = Store::open(options);
  // One lease names one object: the second took the first one's place.
  CHECK_FALSE(store->blobs().is_leased("upload/a/", sha256(large)));
  CHECK(store->blobs().is_leased("upload/a/", sha256(small)));
  CHECK_FALSE(store->blobs().is_leased("upload/b/", sha256(small)));
  clock.advance(kLeasePeriod);
  CHECK_FALSE(store->blobs().is_leased("upload/a/", sha256(small)));
  CHECK(store->blobs().find(sha256(small)).has_value());
}

TEST_CASE("storage/local_blob_store: files in staging that no lease names are removed at open") {
  const ScratchDirectory scratch;
  Store::open({.directory = scratch.path()});
  write_file_atomically(scratch.path() / "staging" / "4711", as_bytes("left over"));
  std::filesystem::create_directory(scratch.path() / "staging" / "pack");
  write_file_atomically(scratch.path() / "staging" / "pack" / "x", as_bytes("left over"));
  Store::open({.directory = scratch.path()});
  CHECK(staged_files(scratch.path()) == 0);
}

TEST_CASE("storage/local_blob_store: numbers are not given twice, not even after a crash") {
  const ScratchDirectory scratch;
  std::uint64_t first = 0;
  {
    Database database(scratch.path() / "db", Database::Use::Create);
    Numbers numbers(database);
    first = numbers.next();
    CHECK(numbers.next() == first + 1);
  }
  Database database(scratch.path() / "db", Database::Use::Existing);
  CHECK(Numbers(database).next() > first + 1);
}

TEST_CASE("storage/local_blob_store: a commit cut off behind the rename is completed at open") {
  const ScratchDirectory scratch;
  const auto bytes = random_bytes(kLarge, 6);
  const Digest digest = sha256(bytes);
  {
    const auto store = Store::open({.directory = scratch.path()});
    const auto writer = store->blobs().create({.lease_key = "a", .size_bytes = kLarge});
    writer->append(bytes);
    writer->checkpoint();
  }
  // What a crash between the rename and the catalog's row leaves.
  const auto staged = std::filesystem::directory_iterator(scratch.path() / "staging")->path();
  const auto oid = to_hex(digest);
  std::filesystem::rename(staged, scratch.path() / "blobs" / oid.substr(0, 2) /
                                      (oid + "." + staged.filename().string()));
  const auto store = Store::open({.directory = scratch.path()});
  CHECK(store->blobs().find(digest) == kLarge);
  CHECK(read_object(store->blobs(), digest, kLarge) == as_text(bytes));
  CHECK(blob_files(scratch.path()).size() == 1);
}

TEST_CASE("storage/local_blob_store: open files are bounded and the one used last stays") {
  OpenFiles files(2);
  const auto name = [](std::uint64_t generation) {
    return FileName{.digest = sha256(as_bytes("x")), .generation = generation};
  };
  const auto file = std::make_shared<const OpenFile>();
  files.add(name(1), file);
  files.add(name(2), file);
  CHECK(files.find(name(1)) != nullptr);
  files.add(name(3), file);
  CHECK(files.find(name(1)) != nullptr);
  CHECK(files.find(name(2)) == nullptr);
  CHECK(files.find(name(3)) != nullptr);
}

TEST_CASE(
    "storage/local_blob_store: a full disk says so before anything is written, and recovers") {
  const SmallDisk disk("24m");
  if (!disk.mounted()) return;
  const auto store = Store::open({.directory = disk.path() / "data"});
  CHECK(kind_of([&] { store->blobs().create({.lease_key = "big", .size_bytes = 100ULL << 20}); }) ==
        ErrorKind::NoSpace);
  CHECK(staged_files(disk.path() / "data") == 0);
  const auto bytes = random_bytes(kLarge, 7);
  store_object(store->blobs(), bytes, "a");
  // Fill the rest: the catalog's own writes fail now, and work again when there is room.
  const auto filler = disk.path() / "filler";
  const UniqueFd fd = holdfast::open_file(filler, 0102, 0600);
  const std::vector<std::byte> zeros(4096);
  CHECK(kind_of([&] {
          for (std::uint64_t at = 0;; at += zeros.size())
            holdfast::write_at(fd.get(), at, zeros, filler);
        }) == ErrorKind::NoSpace);
  const auto small = random_bytes(200'000, 8);
  CHECK(kind_of([&] { store->blobs().put(small); }) == ErrorKind::NoSpace);
  CHECK(read_object(store->blobs(), sha256(bytes), kLarge) == as_text(bytes));
  std::filesystem::remove(filler);
  REQUIRE(::ftruncate(fd.get(), 0) == 0);
  CHECK(store->blobs().put(small) == sha256(small));
  CHECK(read_object(store->blobs(), sha256(small), kLarge) == as_text(small));
}

}  // namespace
}  // namespace holdfast::storage
