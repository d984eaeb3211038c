#include "convert/bytes.h"

#include <algorithm>
#include <bit>

namespace holdfast::convert {
namespace {

constexpr std::size_t kSpareBytesMax = 32 << 20;
constexpr std::size_t kOneBytesMax = 2 << 20;

}  // namespace

Bytes BytePool::take(std::size_t size) {
  Bytes bytes;
  {
    auto spare = spare_.lock();
    // The one given last is the likeliest to be in the cache.
    const auto found = std::find_if(spare->list.rbegin(), spare->list.rend(),
                                    [&](const Bytes& one) { return one.capacity() >= size; });
    if (found != spare->list.rend()) {
      bytes = std::move(*found);
      spare->list.erase(std::next(found).base());
      spare->total_bytes -= bytes.capacity();
    }
  }
  // Rounded up, so that slabs of about the same size can take each other's place.
  if (bytes.capacity() < size) bytes.reserve(size <= kOneBytesMax ? std::bit_ceil(size) : size);
  bytes.resize(size);
  return bytes;
}

std::size_t BytePool::spare_bytes() const { return spare_.lock()->total_bytes; }

void BytePool::give(Bytes bytes) {
  const std::size_t capacity = bytes.capacity();
  if (capacity == 0 || capacity > kOneBytesMax) return;
  auto spare = spare_.lock();
  if (spare->total_bytes + capacity > kSpareBytesMax) return;
  spare->total_bytes += capacity;
  spare->list.push_back(std::move(bytes));
}

}  // namespace holdfast::convert
