// Memory for weights on their way: like std::vector<std::byte>, but what is allocated is not
// cleared first, because every byte is written before it is read.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

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

}  // namespace holdfast::convert
