// Memory for weights on their way: like std::vector<std::byte>, but what is allocated is not
// cleared first, because every byte is written before it is read; and a pool of it.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "storage/base/sync.h"

namespace holdfast::convert {

template <class T>
struct UnclearedAllocator : std::allocator<T> {
  template <class U>
  struct rebind {  // NOLINT(readability-identifier-naming): named by the standard
    using other = UnclearedAllocator<U>;
  };

  // Without arguments: left as it is.
  template <class U>
  void construct(U* place) noexcept {
    ::new (static_cast<void*>(place)) U;
  }

  template <class U, class... Arguments>
  void construct(U* place, Arguments&&... arguments) {
    std::construct_at(place, std::forward<Arguments>(arguments)...);
  }
};

using Bytes = std::vector<std::byte, UnclearedAllocator<std::byte>>;

// Keeps what was used for the next use: pages new from the kernel cost as much as a hash. Holds at
// most 32 MiB of spare memory. Thread-safe.
class BytePool {
 public:
  // Of that size, with anything in it.
  Bytes take(std::size_t size);

  void give(Bytes bytes);

  // What it holds.
  std::size_t spare_bytes() const;

 private:
  struct Spare {
    std::vector<Bytes> list;
    std::size_t total_bytes = 0;
  };

  mutable Sync<Spare> spare_;
};

}  // namespace holdfast::convert
