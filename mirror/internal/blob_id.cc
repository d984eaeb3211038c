#include "mirror/internal/blob_id.h"

#include <algorithm>
#include <vector>

namespace holdfast::mirror {

GitOid git_id_of(const storage::BlobStore& store, const Digest& object) {
  const auto reader = store.open(object);
  GitBlobHasher hasher(reader->size_bytes());
  std::vector<std::byte> buffer(1 << 20);
  for (std::uint64_t at = 0; at < reader->size_bytes();) {
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), reader->size_bytes() - at));
    const std::span<std::byte> part(buffer.data(), length);
    reader->read(at, part);
    hasher.update(part);
    at += length;
  }
  return hasher.finish();
}

}  // namespace holdfast::mirror
