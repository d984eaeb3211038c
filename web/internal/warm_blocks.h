// Which blocks of files the page cache was found to have lately, so that the kernel need not be
// asked again for each answer: for a 64 KiB range that question is a sixteenth of the cost. A hint
// and no promise, like the kernel's own word: a block may have left the cache since, or the
// descriptor's number may be another file's; whoever believes it then waits for the disk once.
//
// Per thread; a fixed table, in which blocks may displace each other.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace holdfast::web {

class WarmBlocks {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr std::uint64_t kBlockBytes = std::uint64_t{64} * 1024;
  // For so long a block that was found is taken as still there.
  static constexpr std::chrono::seconds kBelieved{2};

  // Whether the block of `offset` was found lately.
  bool has(int fd, std::uint64_t offset, Time now) const noexcept {
    const Found& found = table_[slot_of(fd, offset)];
    return found.fd == fd && found.block == offset / kBlockBytes && now < found.until;
  }

  void add(int fd, std::uint64_t offset, Time now) noexcept {
    table_[slot_of(fd, offset)] = {
        .fd = fd, .block = offset / kBlockBytes, .until = now + kBelieved};
  }

 private:
  struct Found {
    int fd = -1;
    std::uint64_t block = 0;
    Time until;
  };

  static constexpr unsigned kSlotBits = 15;  // 2 GiB of a file, 768 KiB of memory

  // Fibonacci hashing (Knuth, TAOCP 6.4) spreads neighbours evenly.
  static std::size_t slot_of(int fd, std::uint64_t offset) noexcept {
    const std::uint64_t key = offset / kBlockBytes + (static_cast<std::uint64_t>(fd) << 32U);
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15U) >> (64U - kSlotBits));
  }

  std::array<Found, std::size_t{1} << kSlotBits> table_{};
};

}  // namespace holdfast::web
