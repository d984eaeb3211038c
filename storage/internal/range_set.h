// A set of byte ranges, kept merged. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "storage/blob_store.h"

namespace holdfast::storage {

class RangeSet {
 public:
  void add(ByteRange range);
  void remove(ByteRange range);
  bool intersects(ByteRange range) const noexcept;

  // Where the run of bytes that contains `offset` ends; `offset` itself when it is not in the set.
  std::uint64_t run_end(std::uint64_t offset) const noexcept;

  std::vector<ByteRange> ranges() const;
  // The gaps below `size_bytes`.
  std::vector<ByteRange> missing(std::uint64_t size_bytes) const;

  std::size_t count() const noexcept { return ends_.size(); }

 private:
  std::map<std::uint64_t, std::uint64_t> ends_;  // start → end
};

}  // namespace holdfast::storage
