// What the pack tests put into packs by hand.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "storage/base/deflate.h"
#include "storage/base/digest.h"

namespace holdfast::tests {

inline std::string deflated(std::string_view text) {
  std::string stream;
  Deflater deflater([&](std::span<const std::byte> bytes) { stream += as_text(bytes); });
  deflater.update(as_bytes(text));
  deflater.finish();
  return stream;
}

}  // namespace holdfast::tests
