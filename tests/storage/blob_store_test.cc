// The conformance suite of BlobStore: every implementation passes all of it.
#include "storage/blob_store.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>

#include <doctest/doctest.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/limits.h"
#include "storage/store.h"
#include "tests/fakes/memory_store.h"
#include "tests/storage/scratch.h"

namespace holdfast::storage {
namespace {

using tests::random_bytes;

struct LocalFixture {
  tests::ScratchDirectory scratch;
  std::unique_ptr<Store> store = Store::open({.directory = scratch.path()});

  BlobStore& blobs() { return store->blobs(); }
};

struct MemoryFixture {
  tests::MemoryStore store;

  BlobStore& blobs() { return store; }
};

#define STORES LocalFixture, MemoryFixture

constexpr std::size_t kSizes[] = {
    0, 1, 1000, kSmallObjectMax - 1, kSmallObjectMax, kSmallObjectMax + 1, (3 << 20) + 7};

std::string text_of_extent(const Extent& extent) {
  if (const auto* memory = std::get_if<MemoryExtent>(&extent))
    return std::string(as_text(memory->bytes));
  const auto& file = std::get<FileExtent>(extent);
  std::string text(file.length, '\0');
  REQUIRE(::pread(file.fd, text.data(), text.size(), static_cast<off_t>(file.offset)) ==
          static_cast<ssize_t>(text.size()));
  return text;
}

std::string text_of_range(const BlobReader& reader, ByteRange range) {
  std::string text;
  for (const Extent& extent : reader.extents(range)) text += text_of_extent(extent);
  return text;
}

template <class Action>
void check_fails(ErrorKind kind, Action action) {
  try {
    action();
  } catch (const Error& error) {
    CAPTURE(error.what());
    CHECK(to_text(error.kind()) == to_text(kind));
    return;
  }
  FAIL_CHECK("expected an error: " << to_text(kind));
}

TEST_CASE_TEMPLATE("storage/blob_store: objects of any size read back, whole and in ranges",
                   Fixture, STORES) {
  Fixture fixture;
  for (const std::size_t size : kSizes) {
    CAPTURE(size);
    const auto bytes = random_bytes(size, size);
    const auto text = as_text(bytes);
    const auto writer = fixture.blobs().create({.lease_key = "k", .size_bytes = size});
    writer->append(std::span(bytes).first(size / 3));
    writer->append(std::span(bytes).subspan(size / 3));
    const Digest digest = writer->commit(sha256(bytes));
    CHECK(fixture.blobs().find(digest) == size);
    CHECK(read_object(fixture.blobs(), digest, size) == text);
    const auto reader = fixture.blobs().open(digest);
    CHECK(reader->size_bytes() == size);
    const ByteRange ranges[] = {
        {0, size}, {size / 2, size - size / 2}, {size, 0}, {size / 4, size / 4}};
    for (const ByteRange& range : ranges)
      CHECK(text_of_range(*reader, range) == text.substr(range.offset, range.length));
    check_fails(ErrorKind::Invalid, [&] { reader->extents({size, 1}); });
    check_fails(ErrorKind::Invalid, [&] { reader->extents({UINT64_MAX, 2}); });
    std::byte one[1];
    check_fails(ErrorKind::Invalid, [&] { reader->read(size, one); });
  }
}

TEST_CASE_TEMPLATE("storage/blob_store: what is not stored is not found", Fixture, STORES) {
  Fixture fixture;
  const Digest digest = sha256(as_bytes("nobody stored this"));
  CHECK(!fixture.blobs().find(digest));
  check_fails(ErrorKind::NotFound, [&] { fixture.blobs().open(digest); });
}

TEST_CASE_TEMPLATE("storage/blob_store: parts may come in any order", Fixture, STORES) {
  Fixture fixture;
  constexpr std::size_t kPart = 100'000;
  for (const std::size_t parts : {2, 30}) {
    const auto bytes = random_bytes(parts * kPart, parts);
    std::vector<std::size_t> order(parts);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::shuffle(order, std::mt19937(7));
    const auto writer = fixture.blobs().create({.lease_key = "k", .size_bytes = bytes.size()});
    for (const std::size_t part : order) {
      CHECK(!writer->missing().empty());
      writer->write_at(part * kPart, std::span(bytes).subspan(part * kPart, kPart));
    }
    CHECK(writer->missing().empty());
    CHECK(writer->commit(std::nullopt) == sha256(bytes));
  }
}

TEST_CASE_TEMPLATE("storage/blob_store: several threads write one object", Fixture, STORES) {
  Fixture fixture;
  constexpr std::size_t kPart = 64 << 10;
  constexpr std::size_t kParts = 64;
  const auto bytes = random_bytes(kPart * kParts, 5);
  const auto writer = fixture.blobs().create({.lease_key = "k", .size_bytes = bytes.size()});
  {
    std::atomic<std::size_t> next{0};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (std::size_t part = next++; part < kParts; part = next++)
          writer->write_at(part * kPart, std::span(bytes).subspan(part * kPart, kPart));
      });
  }
  const Digest digest = writer->commit(std::nullopt);
  CHECK(digest == sha256(bytes));
  CHECK(read_object(fixture.blobs(), digest, bytes.size()) == as_text(bytes));
}

TEST_CASE_TEMPLATE("storage/blob_store: missing() names the gaps, commit() refuses them", Fixture,
                   STORES) {
  Fixture fixture;
  const auto bytes = random_bytes(1 << 20, 9);
  const auto writer = fixture.blobs().create({.lease_key = "k", .size_bytes = bytes.size()});
  writer->write_at(1000, std::span(bytes).subspan(1000, 500));
  writer->write_at(2000, std::span(bytes).subspan(2000, 500));
  CHECK(writer->missing() ==
        std::vector<ByteRange>{{0, 1000}, {1500, 500}, {2500, bytes.size() - 2500}});
  check_fails(ErrorKind::Invalid, [&] { writer->commit(std::nullopt); });
  for (const ByteRange& gap : writer->missing())
    writer->write_at(gap.offset, std::span(bytes).subspan(gap.offset, gap.length));
  CHECK(writer->commit(std::nullopt) == sha256(bytes));
}

TEST_CASE_TEMPLATE("storage/blob_store: a wrong digest stores nothing and starts over", Fixture,
                   STORES) {
  Fixture fixture;
  for (const std::size_t size : {1000UL, 1UL << 20}) {
    CAPTURE(size);
    const auto bytes = random_bytes(size, 11);
    {
      const auto writer = fixture.blobs().create({.lease_key = "k", .size_bytes = size});
      writer->append(bytes);
      check_fails(ErrorKind::Corrupt, [&] { writer->commit(sha256(as_bytes("other"))); });
      check_fails(ErrorKind::Invalid, [&] { writer->append(bytes); });
    }
    CHECK(!fixture.blobs().find(sha256(bytes)));
    const auto again = fixture.blobs().create({.lease_key = "k", .size_bytes = size});
    CHECK(again->missing() == std::vector<ByteRange>{{0, size}});
  }
}

TEST_CASE_TEMPLATE("storage/blob_store: writes outside the declared size are refused", Fixture,
                   STORES) {
  Fixture fixture;
  for (const std::size_t size : {10UL, 1UL << 20}) {
    const auto writer = fixture.blobs().create({.lease_key = "k", .size_bytes = size});
    const std::byte two[2] = {};
    check_fails(ErrorKind::Invalid, [&] { writer->write_at(size - 1, two); });
    check_fails(ErrorKind::Invalid, [&] { writer->write_at(size + 1, {}); });
    check_fails(ErrorKind::Invalid, [&] { writer->write_at(UINT64_MAX, two); });
  }
}

TEST_CASE_TEMPLATE("storage/blob_store: one live writer per lease key", Fixture, STORES) {
  Fixture fixture;
  auto writer = fixture.blobs().create({.lease_key = "k", .size_bytes = 10});
  check_fails(ErrorKind::Conflict,
              [&] { fixture.blobs().create({.lease_key = "k", .size_bytes = 10}); });
  fixture.blobs().create({.lease_key = "other", .size_bytes = 10});
  writer.reset();
  fixture.blobs().create({.lease_key = "k", .size_bytes = 10});
}

TEST_CASE_TEMPLATE(
    "storage/blob_store: the same key resumes, another size or a discard starts over", Fixture,
    STORES) {
  Fixture fixture;
  const auto bytes = random_bytes(1 << 20, 13);
  const auto start = [&](std::uint64_t size) {
    return fixture.blobs().create({.lease_key = "k", .size_bytes = size});
  };
  start(bytes.size())->write_at(5000, std::span(bytes).subspan(5000, 700'000));
  CHECK(start(bytes.size())->missing().size() == 2);
  SUBCASE("resume") {
    const auto writer = start(bytes.size());
    for (const ByteRange& gap : writer->missing())
      writer->write_at(gap.offset, std::span(bytes).subspan(gap.offset, gap.length));
    CHECK(writer->commit(sha256(bytes)) == sha256(bytes));
  }
  SUBCASE("another size") { CHECK(start(bytes.size() + 1)->missing().front().length > 1 << 20); }
  SUBCASE("discard") {
    start(bytes.size())->discard();
    CHECK(start(bytes.size())->missing() == std::vector<ByteRange>{{0, bytes.size()}});
  }
}

TEST_CASE_TEMPLATE("storage/blob_store: an object may come in twice, also at the same time",
                   Fixture, STORES) {
  Fixture fixture;
  for (const std::size_t size : {1000UL, 1UL << 20}) {
    const auto bytes = random_bytes(size, 17);
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
          const auto writer =
              fixture.blobs().create({.lease_key = "k" + std::to_string(i), .size_bytes = size});
          writer->append(bytes);
          writer->commit(sha256(bytes));
        });
    }
    CHECK(read_object(fixture.blobs(), sha256(bytes), size) == as_text(bytes));
  }
}

TEST_CASE_TEMPLATE("storage/blob_store: put_all answers in order, repeats and large ones included",
                   Fixture, STORES) {
  Fixture fixture;
  const auto a = random_bytes(100, 1), b = random_bytes(kSmallObjectMax + 5, 2),
             c = random_bytes(0, 3);
  const std::span<const std::byte> objects[] = {a, b, a, c};
  const auto digests = fixture.blobs().put_all(objects);
  REQUIRE(digests.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(digests[i] == sha256(objects[i]));
    CHECK(read_object(fixture.blobs(), digests[i], kSmallObjectMax * 2) == as_text(objects[i]));
  }
  check_fails(ErrorKind::LimitExceeded, [&] { read_object(fixture.blobs(), digests[1], 1000); });
}

}  // namespace
}  // namespace holdfast::storage
