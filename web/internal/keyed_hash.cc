#include "web/internal/keyed_hash.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>

#include <sys/random.h>

#include "storage/base/error.h"

namespace holdfast::web {

Digest keyed_hash(std::span<const std::byte> key, std::string_view text) {
  constexpr std::size_t kBlockBytes = 64;  // of SHA-256, which the key is padded to
  constexpr std::byte kInner{0x36}, kOuter{0x5c};
  assert(key.size() <= kBlockBytes);
  std::array<std::byte, kBlockBytes> inner{};
  std::ranges::copy(key, inner.begin());
  auto outer = inner;
  for (std::byte& b : inner) b ^= kInner;
  for (std::byte& b : outer) b ^= kOuter;
  Sha256 first;
  first.update(inner);
  first.update(as_bytes(text));
  const Digest digest = first.finish();
  Sha256 second;
  second.update(outer);
  second.update(std::as_bytes(std::span(digest.bytes)));
  return second.finish();
}

bool is_same(const Digest& a, const Digest& b) noexcept {
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.bytes.size(); ++i) {
    difference |= static_cast<unsigned>(a.bytes[i] ^ b.bytes[i]);
  }
  return difference == 0;
}

void fill_random(std::span<std::byte> out) {
  if (::getrandom(out.data(), out.size(), 0) != static_cast<ssize_t>(out.size()))
    fail_errno("getrandom", "key", errno);
}

}  // namespace holdfast::web
