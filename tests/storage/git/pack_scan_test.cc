#include "storage/git/pack_scan.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/digest.h"
#include "storage/base/error.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/git/deflated.h"

namespace holdfast::storage::git {
namespace {

using tests::deflated;
using tests::kind_of;

constexpr unsigned kCommitType = 1, kBlobType = 3, kOffsetDeltaType = 6, kReferenceDeltaType = 7;

// Seven bits a byte, least significant first.
std::string number(std::uint64_t value) {
  std::string bytes;
  for (; value > 127; value >>= 7U) bytes += static_cast<char>(value | 0x80U);
  return bytes + static_cast<char>(value);
}

std::string entry_header(unsigned type, std::uint64_t size) {
  const auto first = static_cast<char>(type << 4U | (size & 15U) | (size > 15 ? 0x80U : 0U));
  return size > 15 ? first + number(size >> 4U) : std::string(1, first);
}

std::string entry(unsigned type, std::string_view content) {
  return entry_header(type, content.size()) + deflated(content);
}

std::string delta_entry(std::uint64_t base_size, std::uint64_t result_size) {
  const std::string delta = number(base_size) + number(result_size) + "\x80";
  return entry_header(kReferenceDeltaType, delta.size()) + std::string(20, 'i') + deflated(delta);
}

std::string pack(const std::vector<std::string>& entries) {
  std::string bytes("PACK\0\0\0\2\0\0\0", 11);
  bytes += static_cast<char>(entries.size());
  for (const auto& one : entries) bytes += one;
  return bytes + std::string(20, 't');
}

constexpr PackScanLimits kLimits{
    .object_bytes_max = 1000, .objects_max = 9, .total_bytes_max = 5000};

void scan(std::string_view bytes) {
  PackScan scan(kLimits);
  scan.add(as_bytes(bytes));
  scan.finish();
}

}  // namespace

TEST_CASE("storage/git/pack_scan: what an object may be is known before it is made") {
  const std::string text(900, 'x');
  const std::string small_delta = number(5) + number(7) + "\x05hello";
  const std::string offset_delta =
      entry_header(kOffsetDeltaType, small_delta.size()) + "\x81\x01" + deflated(small_delta);

  struct Case {
    const char* name;
    std::string bytes;
    std::optional<ErrorKind> error;
  };

  const Case cases[] = {
      {"nothing in it", pack({}), {}},
      {"whole objects", pack({entry(kCommitType, text), entry(kBlobType, "")}), {}},
      {"a delta by offset", pack({entry(kBlobType, "hello"), offset_delta}), {}},
      {"a delta by id", pack({delta_entry(900, 1000)}), {}},
      {"a blob may be larger", pack({entry(kBlobType, std::string(2000, 'x'))}), {}},
      {"a commit may not", pack({entry(kCommitType, std::string(2000, 'x'))}),
       ErrorKind::LimitExceeded},
      {"a delta that makes much of little", pack({delta_entry(900, 1001)}),
       ErrorKind::LimitExceeded},
      {"a delta of something large", pack({delta_entry(1001, 9)}), ErrorKind::LimitExceeded},
      {"much of many", pack(std::vector<std::string>(6, delta_entry(9, 999))),
       ErrorKind::LimitExceeded},
      {"bases are made once", pack(std::vector<std::string>(9, delta_entry(999, 9))), {}},
      {"more than announced", pack({entry_header(kBlobType, 3) + deflated("four")}),
       ErrorKind::Corrupt},
      {"less than announced", pack({entry_header(kBlobType, 5) + deflated("four")}),
       ErrorKind::Corrupt},
      {"a delta without sizes",
       pack({entry_header(kReferenceDeltaType, 1) + std::string(20, 'i') + deflated("\x01")}),
       ErrorKind::Corrupt},
      {"a size without end", pack({std::string("\xbf") + std::string(12, '\xff')}),
       ErrorKind::Corrupt},
      {"an unknown type", pack({entry(5, "x")}), ErrorKind::Corrupt},
      {"no zlib stream", pack({entry_header(kBlobType, 3) + "abcdefgh"}), ErrorKind::Corrupt},
      {"no pack", "<html>", ErrorKind::Corrupt},
      {"another version", std::string("PACK\0\0\0\4\0\0\0\0", 12) + std::string(20, 't'),
       ErrorKind::Corrupt},
      {"an empty answer", "", ErrorKind::Corrupt},
      {"bytes behind its end", pack({}) + "x", ErrorKind::Corrupt},
      {"as many as may be", pack(std::vector<std::string>(9, entry(kBlobType, ""))), {}},
      {"one more", pack(std::vector<std::string>(10, entry(kBlobType, ""))),
       ErrorKind::LimitExceeded},
  };
  for (const auto& c : cases) {
    CAPTURE(c.name);
    if (c.error) {
      CHECK(kind_of([&] { scan(c.bytes); }) == *c.error);
    } else {
      CHECK_NOTHROW(scan(c.bytes));
    }
  }
}

TEST_CASE("storage/git/pack_scan: it does not matter how a pack is cut") {
  const std::string bytes = pack(
      {entry(kCommitType, std::string(300, 'x')), delta_entry(900, 1000), entry(kBlobType, "")});
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    CAPTURE(at);
    PackScan whole(kLimits);
    whole.add(as_bytes(std::string_view(bytes).substr(0, at)));
    CHECK(kind_of([&] { whole.finish(); }) == ErrorKind::Corrupt);
    whole.add(as_bytes(std::string_view(bytes).substr(at)));
    CHECK_NOTHROW(whole.finish());
  }
}

}  // namespace holdfast::storage::git
