#include "storage/blob_store.h"

#include <algorithm>

#include "storage/base/error.h"

namespace holdfast::storage {
namespace {

constexpr std::uint64_t kPieceBytes = 1 << 20;

}  // namespace

void for_each_piece(const BlobReader& reader,
                    const std::function<void(std::span<const std::byte> piece)>& use) {
  const std::uint64_t size = reader.size_bytes();
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(kPieceBytes, size)));
  for (std::uint64_t at = 0; at < size;) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - at));
    const std::span<std::byte> piece(buffer.data(), length);
    reader.read(at, piece);
    use(piece);
    at += length;
  }
}

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
