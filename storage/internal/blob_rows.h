// The catalog's rows about objects, and the numbers that name their files. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/base/clock.h"
#include "storage/base/digest.h"
#include "storage/base/sync.h"
#include "storage/internal/database.h"

namespace holdfast::storage {

enum class BlobPlace : std::uint8_t { File, Small };
enum class BlobState : std::uint8_t { Healthy, Damaged, Condemned };
enum class BlobCodec : std::uint8_t { Raw };

struct BlobRow {
  BlobPlace place = BlobPlace::File;
  BlobState state = BlobState::Healthy;
  BlobCodec codec = BlobCodec::Raw;
  std::uint64_t size_bytes = 0;
  std::uint64_t generation = 0;  // of the file; 0 for small objects
  Time verified_at;
};

std::optional<BlobRow> find_blob_row(const Database& database, const Digest& digest);
void put_blob_row(Batch& batch, const Digest& digest, const BlobRow& row);
// What is wrong with the bytes of a small object, which go to `bytes`; nothing when they are there,
// whole, and RocksDB finds its own checksum of them right.
std::optional<std::string> find_small_damage(const Database& database, const Digest& digest,
                                             std::uint64_t size_bytes,
                                             rocksdb::PinnableSlice& bytes);
// The row, the bytes of a small object, and what was known of its chunks.
void erase_object(Batch& batch, const Digest& digest, BlobPlace place);

// Store-wide numbers that are never given twice, not even after a crash: blocks of them are
// reserved on disk before the first is used.
//
// A mark moves along with what is reserved, as long as it stands there. A holdfast that knows of no
// mark leaves it behind with the first number it takes, and everything that is published takes one.
class Numbers {
 public:
  explicit Numbers(Database& database) : database_(database) {}

  std::uint64_t next();

  // Whether all numbers, since the store was made or since mark(), were given by those who keep it.
  bool is_marked() const;
  void mark();

 private:
  struct Block {
    std::uint64_t next = 0;
    std::uint64_t end = 0;
  };

  Database& database_;
  mutable Sync<Block> block_{};
};

}  // namespace holdfast::storage
