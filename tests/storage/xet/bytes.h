// Bytes that other languages make just as easily: a linear congruential generator (Knuth's MMIX),
// its highest byte each time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace holdfast::tests {

inline std::vector<std::byte> mixed_bytes(std::size_t size, std::uint64_t seed) {
  std::vector<std::byte> bytes(size);
  for (auto& byte : bytes) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<std::byte>(seed >> 56U);
  }
  return bytes;
}

}  // namespace holdfast::tests
