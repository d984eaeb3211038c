#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/digest.h"
#include "tests/storage/scratch.h"

namespace holdfast {
namespace {

using tests::random_bytes;

// Feeds hashers side by side, each with its own bytes, in the given turns.
struct Streams {
  std::vector<Sha256> hashers;
  std::vector<std::vector<std::byte>> fed;

  explicit Streams(std::size_t count) : hashers(count), fed(count) {}

  void turn(std::span<const std::span<const std::byte>> parts) {
    std::vector<Sha256Feed> feeds;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      feeds.push_back({.hasher = &hashers[i], .bytes = parts[i]});
      fed[i].insert(fed[i].end(), parts[i].begin(), parts[i].end());
    }
    update_together(feeds);
  }

  // What OpenSSL alone makes of the same bytes.
  void check() {
    for (std::size_t i = 0; i < hashers.size(); ++i) {
      CAPTURE(i);
      CHECK(hashers[i].finish() == sha256(fed[i]));
    }
  }
};

TEST_CASE(
    "storage/base/sha256_together: any lengths and places give what each hasher alone gives") {
  const auto bytes = random_bytes(4096, 7);
  const auto part = [&](std::size_t begin, std::size_t size) {
    return std::span(bytes).subspan(begin, size);
  };
  // Around the ends of blocks, and of the padding (a message of 55 or 56 bytes).
  constexpr std::size_t kSizes[] = {0, 1, 55, 56, 63, 64, 65, 127, 128, 129, 191, 192, 1000};
  for (const std::size_t a : kSizes) {
    for (const std::size_t b : kSizes) {
      CAPTURE(a);
      CAPTURE(b);
      for (const std::size_t offset : {0U, 1U, 17U}) {
        Streams two(2);
        two.turn(std::vector{part(offset, a), part(100, b)});
        two.check();
        Streams three(3);
        three.turn(std::vector{part(offset, a), part(100, b), part(300 + offset, a + b)});
        three.turn(std::vector{part(5, b), part(900, b), part(offset, a)});
        three.check();
      }
    }
  }
}

TEST_CASE("storage/base/sha256_together: cutting the bytes elsewhere changes nothing") {
  const auto bytes = random_bytes(20'000, 7);
  std::minstd_rand random(11);
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    Streams streams(1 + random() % 5);
    for (int turns = 0; turns < 4; ++turns) {
      std::vector<std::span<const std::byte>> parts;
      for (std::size_t i = 0; i < streams.hashers.size(); ++i) {
        const std::size_t begin = random() % 10'000;
        parts.push_back(std::span(bytes).subspan(begin, random() % (round < 100 ? 300 : 10'000)));
      }
      streams.turn(parts);
    }
    streams.check();
  }
}

TEST_CASE(
    "storage/base/sha256_together: a mid-state goes on where it was, alone or beside others") {
  const auto bytes = random_bytes(1000, 7);
  for (const std::size_t cut : {0U, 64U, 65U, 640U, 999U}) {
    CAPTURE(cut);
    Sha256 first, other;
    const auto head = std::span(bytes).first(cut), tail = std::span(bytes).subspan(cut);
    update_together(std::vector<Sha256Feed>{{&first, head}, {&other, bytes}});
    Sha256 second(first.state());
    update_together(std::vector<Sha256Feed>{{&second, tail}, {&other, tail}});
    CHECK(second.finish() == sha256(bytes));
    first.update(tail);
    CHECK(first.finish() == sha256(bytes));
  }
}

// The count of bits has two halves: 2^32 bits are 512 MiB.
TEST_CASE("storage/base/sha256_together: more than half a gigabyte") {
  const auto bytes = random_bytes(1 << 20, 7);
  Sha256 together, other, alone;
  for (int i = 0; i < 513; ++i) {
    update_together(std::vector<Sha256Feed>{{&together, bytes}, {&other, bytes}});
    alone.update(bytes);
  }
  CHECK(together.finish() == alone.finish());
}

TEST_CASE("storage/base/sha256_together: nothing to hash is nothing done") {
  update_together({});
  Sha256 hasher;
  update_together(std::vector<Sha256Feed>{{&hasher, {}}, {}});
  CHECK(hasher.finish() == sha256({}));
}

}  // namespace
}  // namespace holdfast
