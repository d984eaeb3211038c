#include "mirror/internal/blob_id.h"

#include <span>

namespace holdfast::mirror {

GitOid git_id_of(const storage::BlobStore& store, const Digest& object) {
  const auto reader = store.open(object);
  GitBlobHasher hasher(reader->size_bytes());
  for_each_piece(*reader, [&](std::span<const std::byte> piece) { hasher.update(piece); });
  return hasher.finish();
}

}  // namespace holdfast::mirror
