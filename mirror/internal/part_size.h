// How much to ask for in one ranged request: as much as a connection brings in a few seconds, by
// what was measured so far, and less towards the end of a file, so that the connections end
// together and the hash, which follows the bytes in order, has little left to catch up with.
#pragma once

#include <atomic>
#include <cstdint>

#include "mirror/limits.h"
#include "mirror/retry.h"

namespace holdfast::mirror {

// Thread-safe.
class PartSize {
 public:
  struct Limits {
    unsigned connections = kWorkers;
    std::uint64_t bytes_max = kPartBytes;
  };

  explicit PartSize(const Limits& limits) : limits_(limits) {}

  // A request brought so much in so long.
  void measured(std::uint64_t bytes, Milliseconds time) noexcept;

  // Of one connection, as far as it is measured; 0: not known.
  std::uint64_t bytes_per_second() const noexcept { return bytes_per_second_; }

  // The next part of a file of which `left_bytes` are not asked for yet.
  std::uint64_t next(std::uint64_t left_bytes) const noexcept;

 private:
  Limits limits_;
  std::atomic<std::uint64_t> bytes_per_second_ = 0;  // of a connection; 0: not known
};

}  // namespace holdfast::mirror
