#include "storage/internal/blob_rows.h"

#include "storage/base/error.h"
#include "storage/internal/keys.h"
#include "storage/internal/local_xet_index.h"
#include "storage/internal/row.h"

namespace holdfast::storage {
namespace {

constexpr std::string_view kNumbersKey = "numbers";
constexpr std::string_view kMarkKey = "changes";  // a copy of the row of numbers
constexpr std::uint64_t kNumbersReserved = 4096;

}  // namespace

std::optional<BlobRow> find_blob_row(const Database& database, const Digest& digest) {
  rocksdb::PinnableSlice value;
  if (!database.get(Family::Blob, as_text(std::as_bytes(std::span(digest.bytes))), value))
    return std::nullopt;
  RowReader row({value.data(), value.size()}, "blob row");
  BlobRow blob;
  blob.place = static_cast<BlobPlace>(row.byte());
  blob.state = static_cast<BlobState>(row.byte());
  blob.codec = static_cast<BlobCodec>(row.byte());
  blob.size_bytes = row.number();
  blob.generation = row.number();
  blob.verified_at = row.time();
  return blob;
}

void put_blob_row(Batch& batch, const Digest& digest, const BlobRow& blob) {
  RowWriter row;
  row.byte(static_cast<std::uint8_t>(blob.place)).byte(static_cast<std::uint8_t>(blob.state));
  row.byte(static_cast<std::uint8_t>(blob.codec));
  row.number(blob.size_bytes).number(blob.generation).time(blob.verified_at);
  batch.put(Family::Blob, keys::object(digest), row.take());
}

std::optional<std::string> find_small_damage(const Database& database, const Digest& digest,
                                             std::uint64_t size_bytes,
                                             rocksdb::PinnableSlice& bytes) {
  try {
    if (!database.get(Family::Small, keys::object(digest), bytes))
      return "its bytes are missing from the catalog";
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Corrupt) throw;
    return error.what();
  }
  if (bytes.size() != size_bytes) return "found " + std::to_string(bytes.size()) + " bytes";
  return std::nullopt;
}

void erase_object(Batch& batch, const Digest& digest, BlobPlace place) {
  batch.erase(Family::Blob, keys::object(digest));
  if (place == BlobPlace::Small) batch.erase(Family::Small, keys::object(digest));
  erase_xet_rows(batch, batch.database(), digest);
}

std::uint64_t Numbers::next() {
  // Held across the write of a new block on purpose: nobody may have a number before it is durable.
  auto block = block_.lock();
  if (block->next == block->end) {
    const auto row = database_.get(Family::Meta, kNumbersKey);
    const std::uint64_t start = row ? RowReader(*row, "numbers row").number() : 1;
    const std::string reserved = RowWriter().number(start + kNumbersReserved).take();
    Batch batch(database_);
    batch.put(Family::Meta, kNumbersKey, reserved);
    if (database_.get(Family::Meta, kMarkKey) == row) batch.put(Family::Meta, kMarkKey, reserved);
    database_.write(batch);
    *block = {.next = start, .end = start + kNumbersReserved};
  }
  return block->next++;
}

bool Numbers::is_marked() const {
  const auto block = block_.lock();
  return database_.get(Family::Meta, kMarkKey) == database_.get(Family::Meta, kNumbersKey);
}

void Numbers::mark() {
  // Held across the write on purpose: nobody may reserve between the look and the mark.
  const auto block = block_.lock();
  const auto row = database_.get(Family::Meta, kNumbersKey);
  if (!row) return;
  Batch batch(database_);
  batch.put(Family::Meta, kMarkKey, *row);
  database_.write(batch);
}

}  // namespace holdfast::storage
