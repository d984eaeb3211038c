#include "storage/xet/chunking.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/storage/xet/bytes.h"

namespace holdfast::storage::xet {
namespace {

std::vector<std::size_t> ends_of(std::span<const std::byte> bytes) {
  std::vector<std::size_t> ends;
  std::size_t at = 0;
  while (at < bytes.size()) {
    at += first_chunk_bytes(bytes.subspan(at));
    ends.push_back(at);
  }
  return ends;
}

// 128 bytes that xet-core's own tests (chunking.rs, get_triggering_base_data) know to hold a cut.
constexpr std::uint8_t kCutting[] = {
    154, 52,  42,  34,  159, 75,  126, 224, 70,  236, 12,  196, 79,  236, 178, 124, 127, 50,  99,
    178, 44,  176, 174, 126, 250, 235, 205, 174, 252, 122, 35,  10,  20,  101, 214, 69,  193, 8,
    115, 105, 158, 228, 120, 111, 136, 162, 198, 251, 211, 183, 253, 252, 164, 147, 63,  16,  186,
    162, 117, 23,  170, 36,  205, 187, 174, 76,  210, 174, 211, 175, 12,  173, 145, 59,  2,   70,
    222, 181, 159, 227, 182, 156, 189, 51,  226, 106, 24,  50,  183, 157, 140, 10,  8,   23,  212,
    70,  10,  234, 23,  33,  219, 254, 39,  236, 70,  49,  191, 116, 9,   115, 15,  101, 26,  159,
    165, 220, 15,  170, 56,  125, 92,  163, 94,  235, 38,  40,  49,  81};

std::vector<std::byte> cutting_bytes(std::size_t padding) {
  constexpr std::size_t kBytes = 65536;
  std::vector<std::byte> bytes(kBytes);
  const std::size_t period = std::size(kCutting) + padding;
  for (std::size_t i = 0; i < kBytes; ++i) {
    const std::size_t at = i % period;
    bytes[i] = at < std::size(kCutting) ? std::byte{kCutting[at]} : std::byte{0};
  }
  return bytes;
}

}  // namespace

TEST_CASE("storage/chunking: cuts are those of xet-core's own tests") {
  struct Case {
    std::size_t padding;
    std::vector<std::size_t> ends;
  };

  // Cuts at many distances from the least length, which is where implementations differ.
  const Case cases[] = {
      {0, {8256, 16448, 24640, 32832, 41024, 49216, 57408, 65536}},
      {1, {8320, 16576, 24832, 33088, 41344, 49600, 57856, 65536}},
      {6, {8238, 16546, 24854, 33162, 41470, 49778, 58086, 65536}},
      {10, {8206, 16486, 24766, 33046, 41326, 49606, 57886, 65536}},
      {11, {8265, 16466, 24667, 32868, 41069, 49270, 57471, 65536}},
      {20, {8204, 16492, 24780, 33068, 41356, 49644, 57932, 65536}},
      {21, {8259, 16454, 24649, 32844, 41039, 49234, 57429, 65536}},
      {38, {8198, 16498, 24798, 33098, 41398, 49698, 57998, 65536}},
      {39, {8247, 16597, 24947, 33297, 41647, 49997, 58347, 65536}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.padding);
    CHECK(ends_of(cutting_bytes(c.padding)) == c.ends);
  }
  CHECK(ends_of(std::vector<std::byte>(1'000'000, std::byte{59})) ==
        std::vector<std::size_t>{131072, 262144, 393216, 524288, 655360, 786432, 917504, 1000000});
}

TEST_CASE(
    "storage/chunking: a chunk has its least and its greatest length, but for a file's last") {
  const auto bytes = tests::mixed_bytes(4'000'000, 7);
  const auto ends = ends_of(bytes);
  REQUIRE(ends.size() > 30);
  std::size_t start = 0;
  for (const std::size_t end : std::span(ends).first(ends.size() - 1)) {
    CHECK(end - start >= kChunkBytesMin);
    CHECK(end - start <= kChunkBytesMax);
    start = end;
  }
}

TEST_CASE("storage/chunking: what is shorter than a chunk is one") {
  const auto bytes = tests::mixed_bytes(kChunkBytesMin - 1, 3);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{8126},
                                 std::size_t{8127}, std::size_t{8128}, kChunkBytesMin - 1}) {
    CAPTURE(size);
    CHECK(first_chunk_bytes(std::span(bytes).first(size)) == size);
  }
}

TEST_CASE("storage/chunking: bytes after the greatest length have no say") {
  const auto bytes = tests::mixed_bytes(600'000, 11);
  for (std::size_t at = 0; at + 2 * kChunkBytesMax <= bytes.size(); at += 10'007) {
    const auto rest = std::span(bytes).subspan(at);
    CHECK(first_chunk_bytes(rest) == first_chunk_bytes(rest.first(kChunkBytesMax)));
  }
}

}  // namespace holdfast::storage::xet
