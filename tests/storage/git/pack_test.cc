#include "storage/git/pack.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/git/pkt_line.h"
#include "tests/storage/git/deflated.h"

namespace holdfast::storage::git {

using tests::deflated;

TEST_CASE("storage/git/pack: an empty pack is git's own, byte for byte") {
  std::string pack;
  PackWriter(0, [&](std::span<const std::byte> bytes) { pack += as_text(bytes); }).finish();
  // `git pack-objects --stdout </dev/null`
  CHECK(pack == std::string("PACK\0\0\0\2\0\0\0\0", 12) +
                    "\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3"
                    "\x1e");
}

TEST_CASE("storage/git/pack: an object is its header and one zlib stream") {
  const std::string text(1000, 'x');
  std::string pack;
  PackWriter writer(2, [&](std::span<const std::byte> bytes) { pack += as_text(bytes); });
  writer.begin(ObjectType::Blob, 0);
  const std::size_t empty_end = pack.size();
  writer.begin(ObjectType::Blob, text.size());
  writer.add(as_bytes(std::string_view(text).substr(0, 300)));
  writer.add(as_bytes(std::string_view(text).substr(300)));
  const std::size_t end = pack.size();
  writer.finish();
  CHECK(pack[12] == '\x30');
  CHECK(inflate(std::string_view(pack).substr(13, empty_end - 13), 10).empty());
  // 1000 = 62 * 16 + 8: four bits, then seven.
  CHECK(pack.substr(empty_end, 2) == "\xb8\x3e");
  CHECK(inflate(std::string_view(pack).substr(empty_end + 2, end - empty_end - 2), 1000) == text);
  CHECK(pack.size() == end + 20);
}

TEST_CASE("storage/git/pack: what was announced must come, no less and no more") {
  PackWriter writer(1, [](std::span<const std::byte>) {});
  CHECK_THROWS_AS(writer.finish(), Error);
  writer.begin(ObjectType::Tree, 3);
  CHECK_THROWS_AS(writer.begin(ObjectType::Tree, 3), Error);
  CHECK_THROWS_AS(writer.add(as_bytes(std::string_view("four"))), Error);
  writer.add(as_bytes(std::string_view("two")));
  CHECK_THROWS_AS(writer.begin(ObjectType::Tree, 3), Error);
  writer.finish();
}

TEST_CASE("storage/git/pkt_line: lines read back, and nonsense is refused") {
  const std::string buffer = pkt("one\n") + std::string(kPktFlush) + pkt("") + "0001" + "0002";
  PktReader reader(buffer);
  CHECK(reader.next().text() == "one");
  CHECK(reader.next().kind == PktKind::Flush);
  CHECK(reader.next().kind == PktKind::Data);
  CHECK(reader.next().kind == PktKind::Delim);
  CHECK(reader.next().kind == PktKind::ResponseEnd);
  CHECK(reader.next().kind == PktKind::End);
  for (const std::string_view bad : {"0", "00", "0003", "0005", "fffff", "-001", "00g0", "0x10"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(PktReader(bad).next(), Error);
  }
  CHECK_THROWS_AS(pkt(std::string(kPktDataMax + 1, 'x')), Error);
  CHECK(pkt(std::string(kPktDataMax, 'x')).starts_with("fff0"));
}

TEST_CASE("storage/base/deflate: a stream is inflated within its limit, whole or not at all") {
  const std::string stream = deflated(std::string(100'000, 'y'));
  CHECK(inflate(stream, 100'000) == std::string(100'000, 'y'));
  CHECK_THROWS_AS(inflate(stream, 99'999), Error);
  CHECK_THROWS_AS(inflate(std::string_view(stream).substr(0, stream.size() - 1), 100'000), Error);
  CHECK_THROWS_AS(inflate("no stream", 100), Error);
  CHECK_THROWS_AS(inflate("", 100), Error);
}

}  // namespace holdfast::storage::git
