#include "storage/xet/xorb.h"

#include <memory>

#include <doctest/doctest.h>
#include <unistd.h>

#include "storage/limits.h"
#include "tests/storage/care_fixture.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/xet/bytes.h"

namespace holdfast::storage::xet {
namespace {

using tests::CareFixture;
using tests::kind_of;
using tests::mixed_bytes;

// An object whose middle is a xorb of three chunks.
struct Sample {
  explicit Sample(std::size_t scale)
      : chunks{{.hash = chunk_hash(as_bytes("a")), .size_bytes = one(100, scale)},
               {.hash = chunk_hash(as_bytes("b")), .size_bytes = one(1, scale)},
               {.hash = chunk_hash(as_bytes("c")), .size_bytes = one(77, scale)}},
        xorb{.hash = chunk_hash(as_bytes("x")), .offset = 13, .chunks = chunks.size()} {
    for (const Chunk& chunk : chunks) xorb.size_bytes += chunk.size_bytes;
    object = mixed_bytes(xorb.offset + xorb.size_bytes + 9, scale);
    const Digest digest = fixture.store->blobs().put(object);
    reader = make_xorb_reader(fixture.store->blobs().open(digest),
                              std::make_shared<XorbFrame>(xorb, chunks));
  }

  static std::uint32_t one(std::size_t bytes, std::size_t scale) {
    return static_cast<std::uint32_t>(bytes * scale);
  }

  std::string read(ByteRange range) const {
    std::string bytes(range.length, '\0');
    reader->read(range.offset, std::as_writable_bytes(std::span(bytes)));
    return bytes;
  }

  std::string whole() const { return read({.offset = 0, .length = reader->size_bytes()}); }

  CareFixture fixture;
  std::vector<Chunk> chunks;
  Xorb xorb;
  std::vector<std::byte> object;
  std::unique_ptr<BlobReader> reader;
};

std::uint64_t number_at(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = count; i > 0; --i) {
    value = value << 8U | static_cast<unsigned char>(bytes[at + i - 1]);
  }
  return value;
}

std::string bytes_of(const std::vector<Extent>& extents) {
  std::string all;
  for (const Extent& extent : extents) {
    if (const auto* memory = std::get_if<MemoryExtent>(&extent)) {
      all += as_text(memory->bytes);
      continue;
    }
    const auto& file = std::get<FileExtent>(extent);
    std::string part(file.length, '\0');
    REQUIRE(::pread(file.fd, part.data(), part.size(), static_cast<off_t>(file.offset)) ==
            static_cast<ssize_t>(part.size()));
    all += part;
  }
  return all;
}

}  // namespace

TEST_CASE("storage/xorb: chunks stand behind headers that say they are stored as they are") {
  const Sample sample(1);
  const std::string whole = sample.whole();
  std::size_t at = 0, in_object = sample.xorb.offset;
  for (const Chunk& chunk : sample.chunks) {
    CHECK(number_at(whole, at, 1) == 0);
    CHECK(number_at(whole, at + 1, 3) == chunk.size_bytes);
    CHECK(number_at(whole, at + 4, 1) == 0);
    CHECK(number_at(whole, at + 5, 3) == chunk.size_bytes);
    at += kChunkHeaderBytes;
    CHECK(whole.substr(at, chunk.size_bytes) ==
          as_text(std::span(sample.object).subspan(in_object, chunk.size_bytes)));
    at += chunk.size_bytes;
    in_object += chunk.size_bytes;
  }
  CHECK(whole.substr(at, 8) == std::string("XETBLOB\1", 8));
}

// As a reader does that starts from the end.
TEST_CASE("storage/xorb: the footer leads to hashes and ends of all chunks") {
  const Sample sample(1);
  const std::string whole = sample.whole();
  const std::size_t chunks = sample.chunks.size();
  const std::size_t end = whole.size() - 4;
  const std::size_t start = end - number_at(whole, end, 4);
  CHECK(start == sample.xorb.size_bytes + chunks * kChunkHeaderBytes);
  const std::string_view hash = std::string_view(whole).substr(start + 8, kBlake3Bytes);
  CHECK(hash == as_text(std::as_bytes(std::span(sample.xorb.hash.bytes))));
  CHECK(number_at(whole, end - 28, 4) == chunks);
  std::size_t hashes = end - number_at(whole, end - 24, 4);
  std::size_t ends = end - number_at(whole, end - 20, 4);
  CHECK(whole.substr(hashes, 8) == std::string("XBLBHSH\0", 8));
  CHECK(whole.substr(ends, 8) == std::string("XBLBBND\1", 8));
  CHECK(number_at(whole, hashes + 8, 4) == chunks);
  CHECK(number_at(whole, ends + 8, 4) == chunks);
  hashes += 12;
  ends += 12;
  std::uint64_t size_bytes = 0;
  for (std::size_t i = 0; i < chunks; ++i) {
    size_bytes += sample.chunks[i].size_bytes;
    CHECK(whole.substr(hashes + i * kBlake3Bytes, kBlake3Bytes) ==
          as_text(std::as_bytes(std::span(sample.chunks[i].hash.bytes))));
    CHECK(number_at(whole, ends + 4 * i, 4) == size_bytes + (i + 1) * kChunkHeaderBytes);
    CHECK(number_at(whole, ends + 4 * (chunks + i), 4) == size_bytes);
  }
}

TEST_CASE("storage/xorb: every range is the same read, or by its extents, as cut from the whole") {
  const Sample small(1);
  const std::string whole = small.whole();
  for (std::uint64_t offset = 0; offset <= whole.size(); ++offset) {
    for (std::uint64_t length = 0; length <= whole.size() - offset; length += 3) {
      CAPTURE(offset);
      CAPTURE(length);
      const ByteRange range{.offset = offset, .length = length};
      REQUIRE(small.read(range) == whole.substr(offset, length));
      REQUIRE(bytes_of(small.reader->extents(range)) == whole.substr(offset, length));
    }
  }
}

TEST_CASE("storage/xorb: of an object in a file, chunks are ranges of that file") {
  const Sample large(2000);
  REQUIRE(large.object.size() > kSmallObjectMax);
  const std::string whole = large.whole();
  const auto extents = large.reader->extents({.offset = 0, .length = whole.size()});
  std::size_t of_file = 0;
  for (const Extent& extent : extents) of_file += std::holds_alternative<FileExtent>(extent);
  CHECK(of_file == large.chunks.size());
  CHECK(bytes_of(extents) == whole);
  const ByteRange middle = chunk_range(large.chunks, 1, 3);
  CHECK(middle.offset == kChunkHeaderBytes + large.chunks[0].size_bytes);
  CHECK(bytes_of(large.reader->extents(middle)) == whole.substr(middle.offset, middle.length));
}

TEST_CASE("storage/xorb: a range beyond the end is refused") {
  const Sample sample(1);
  const std::uint64_t size = sample.reader->size_bytes();
  for (const ByteRange& range : {ByteRange{size + 1, 0}, ByteRange{size, 1}, ByteRange{0, size + 1},
                                 ByteRange{1, UINT64_MAX}, ByteRange{UINT64_MAX, 1}}) {
    CAPTURE(range.offset);
    CHECK(kind_of([&] { sample.reader->extents(range); }) == ErrorKind::Invalid);
  }
}

}  // namespace holdfast::storage::xet
