#include "storage/internal/object_check.h"

#include <cerrno>
#include <span>

namespace holdfast::storage {
namespace {

using Read = std::function<void(std::uint64_t bytes)>;

void check_bytes(const LocalBlobStore& blobs, const Digest& digest, const BlobRow& row,
                 const Read& read) {
  const std::unique_ptr<BlobReader> reader = blobs.open_anew(digest);
  Sha256 hasher;
  for_each_piece(*reader, [&](std::span<const std::byte> piece) {
    hasher.update(piece);
    read(piece.size());
  });
  const Digest found = hasher.finish();
  if (found != digest) blobs.quarantine(digest, row, "bytes with SHA-256 " + to_hex(found));
}

// What the disk cannot read is damaged like what it reads wrong: the next sync fetches it again.
void give_up(const LocalBlobStore& blobs, const Digest& digest, const BlobRow& row,
             const std::string& finding) {
  try {
    blobs.quarantine(digest, row, finding);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Corrupt) throw;
  }
}

}  // namespace

bool is_unreadable(const Error& error) noexcept {
  return error.error_number() == EIO || error.error_number() == EUCLEAN;
}

std::optional<std::string> check_object(const LocalBlobStore& blobs, const Digest& digest,
                                        Depth depth, const Read& read) {
  const auto row = find_blob_row(blobs.parts().database, digest);
  if (!row || row->state == BlobState::Condemned) return std::nullopt;
  try {
    if (depth == Depth::Bytes) {
      check_bytes(blobs, digest, *row, read);
    } else {
      blobs.open_anew(digest);
    }
    return std::nullopt;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::NotFound) return std::nullopt;  // condemned meanwhile
    if (error.kind() != ErrorKind::Corrupt && !is_unreadable(error)) throw;
    if (is_unreadable(error)) give_up(blobs, digest, *row, error.what());
    return error.what();
  }
}

Json::Object make_finding(std::string_view kind, std::string name, std::string text) {
  return {{"kind", kind}, {"name", std::move(name)}, {"text", std::move(text)}};
}

}  // namespace holdfast::storage
