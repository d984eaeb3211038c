// A small pack, as git sends one.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "storage/git/pack.h"

namespace holdfast::tests {

inline std::string pack_of(const std::vector<std::string>& blobs) {
  std::string pack;
  storage::git::PackWriter writer(
      static_cast<std::uint32_t>(blobs.size()),
      [&](std::span<const std::byte> bytes) { pack += as_text(bytes); });
  for (const std::string& blob : blobs) {
    writer.begin(storage::git::ObjectType::Blob, blob.size());
    writer.add(as_bytes(blob));
  }
  writer.finish();
  return pack;
}

}  // namespace holdfast::tests
