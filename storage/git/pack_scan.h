// Looks through a pack as it arrives, before anything resolves its deltas: a few kilobytes of copy
// instructions can stand for gigabytes, and their sizes are said up front (git's gitformat-pack,
// "pack-*.pack files have the following format" and "Deltified representation").
//
// Errors: Corrupt (no pack, an unknown type, a stream that is damaged or not as long as announced,
// bytes behind the end), LimitExceeded. Constant memory; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace holdfast::storage::git {

struct PackScanLimits {
  // One object that its reader holds in memory: a delta, what it makes, a commit, a tree, a tag.
  std::uint64_t object_bytes_max = 256ULL << 20;
  // Objects, each of which costs its reader memory however small it is.
  std::uint64_t objects_max = 2'000'000;
  // All objects of the pack together, as large as they are once made; and all deltas.
  std::uint64_t total_bytes_max = 8ULL << 30;
};

class PackScan {
 public:
  explicit PackScan(const PackScanLimits& limits = {});
  PackScan(const PackScan&) = delete;
  PackScan& operator=(const PackScan&) = delete;
  ~PackScan();

  void add(std::span<const std::byte> bytes);
  // All bytes came: Corrupt when the pack is not complete. Its checksum is not looked at.
  void finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::storage::git
