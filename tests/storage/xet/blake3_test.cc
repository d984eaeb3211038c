#include "storage/xet/blake3.h"

#include <doctest/doctest.h>

#include "storage/base/digest.h"
#include "tests/quantize/targets.h"

namespace holdfast::storage::xet {
namespace {

// The repeating sequence of the official test vectors.
std::vector<std::byte> counted_bytes(std::size_t size) {
  constexpr std::size_t kPeriod = 251;
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i % kPeriod);
  return bytes;
}

Blake3Bytes key() {
  Blake3Bytes key{};
  constexpr std::string_view kText = "whats the Elvish word for friend";
  std::copy(kText.begin(), kText.end(), key.begin());
  return key;
}

std::string hash_of(std::size_t size) {
  return to_hex(Digest{blake3_keyed(key(), counted_bytes(size))});
}

struct Case {
  std::size_t size;
  const char* hash;
};

// "keyed_hash" of github.com/BLAKE3-team/BLAKE3, test_vectors/test_vectors.json: the first 32
// bytes.
constexpr Case kVectors[] = {
    {0, "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"},
    {1, "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b"},
    {1023, "c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e"},
    {1024, "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4"},
    {1025, "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69"},
    {2048, "879cf1fa2ea0e79126cb1063617a05b6ad9d0b696d0d757cf053439f60a99dd1"},
    {2049, "9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5"},
    {3072, "044a0e7b172a312dc02a4c9a818c036ffa2776368d7f528268d2e6b5df191770"},
    {3073, "68dede9bef00ba89e43f31a6825f4cf433389fedae75c04ee9f0cf16a427c95a"},
    {4096, "befc660aea2f1718884cd8deb9902811d332f4fc4a38cf7c7300d597a081bfc0"},
    {4097, "00df940cd36bb9fa7cbbc3556744e0dbc8191401afe70520ba292ee3ca80abbc"},
    {5121, "6ccf1c34753e7a044db80798ecd0782a8f76f33563accaddbfbb2e0ea4b2d024"},
    {7169, "ed9b1a922c046fdb3d423ae34e143b05ca1bf28b710432857bf738bcedbfa511"},
    {8192, "dc9637c8845a770b4cbf76b8daec0eebf7dc2eac11498517f08d44c8fc00d58a"},
    {8193, "954a2a75420c8d6547e3ba5b98d963e6fa6491addc8c023189cc519821b4a1f5"},
    {16384, "9e9fc4eb7cf081ea7c47d1807790ed211bfec56aa25bb7037784c13c4b707b0d"},
    {31744, "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419"},
    {102400, "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7"},
};

}  // namespace

TEST_CASE("storage/blake3: the official vectors come out on every SIMD target") {
  tests::on_every_target([](const std::string& target) {
    CAPTURE(target);
    for (const Case& c : kVectors) {
      CAPTURE(c.size);
      CHECK(hash_of(c.size) == c.hash);
    }
  });
}

TEST_CASE("storage/blake3: any number of leaves, full or not, is the same on every SIMD target") {
  std::vector<std::string> hashes;
  tests::on_every_target([&](const std::string& target) {
    CAPTURE(target);
    std::size_t at = 0;
    for (std::size_t leaves = 1; leaves <= 40; ++leaves) {
      for (const std::size_t size : {leaves * 1024 - 1, leaves * 1024, leaves * 1024 + 63}) {
        CAPTURE(size);
        const std::string hash = hash_of(size);
        if (at == hashes.size()) hashes.push_back(hash);
        CHECK(hash == hashes[at++]);
      }
    }
  });
}

TEST_CASE("storage/blake3: the key has a say") {
  Blake3Bytes other = key();
  other[31] ^= 1;
  CHECK(blake3_keyed(other, counted_bytes(5)) != blake3_keyed(key(), counted_bytes(5)));
}

}  // namespace holdfast::storage::xet
