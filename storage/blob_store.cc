#include "storage/blob_store.h"

#include "storage/base/error.h"

namespace holdfast::storage {

std::string read_object(const BlobStore& store, const Digest& digest,
                        std::uint64_t size_max_bytes) {
  const auto reader = store.open(digest);
  if (reader->size_bytes() > size_max_bytes)
    fail(ErrorKind::LimitExceeded, "object " + to_hex(digest) + ": expected at most " +
                                       std::to_string(size_max_bytes) + " bytes, found " +
                                       std::to_string(reader->size_bytes()));
  std::string bytes(static_cast<std::size_t>(reader->size_bytes()), '\0');
  reader->read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace holdfast::storage
