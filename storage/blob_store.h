// The narrow waist under everything: immutable objects named by the SHA-256 of their bytes.
//
// Readers see an object from the moment that commit() returns and may read any range. Writers
// stage, hash on the way, and publish atomically; an object that a revision does not reference yet
// stays alive by the lease under which it was written. All members are thread-safe; a BlobWriter
// and a BlobReader have one owner at a time (BlobWriter::write_at may be called from several
// threads).
//
// Errors: NotFound (no such object), Corrupt (bytes do not have the digest, or the file is
// damaged), NoSpace, Io. An object known to be damaged is never read: Corrupt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "storage/base/digest.h"

namespace holdfast::storage {

struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;

  bool operator==(const ByteRange&) const = default;
};

// A run of an object's bytes as it lies in an open file, for sendfile(2), or in memory.
struct FileExtent {
  int fd = -1;  // stays open while the BlobReader that gave it lives
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

struct MemoryExtent {
  std::span<const std::byte> bytes;  // valid while the BlobReader that gave it lives
};

using Extent = std::variant<FileExtent, MemoryExtent>;

// One object opened for reading. Keeps the bytes readable even if the object is removed meanwhile.
class BlobReader {
 public:
  virtual ~BlobReader() = default;
  virtual std::uint64_t size_bytes() const noexcept = 0;
  // Fills `out` from `offset`; the range must lie inside the object (else Error(Invalid)).
  virtual void read(std::uint64_t offset, std::span<std::byte> out) const = 0;
  // Where the bytes of `range` lie, in order, without reading them.
  virtual std::vector<Extent> extents(ByteRange range) const = 0;

  // How many bytes from `offset` on can be read now: all, but for an object that is still arriving
  // (pull_through.h), whose readers ask again later. Throws what ended the arrival.
  virtual std::uint64_t ready_bytes(std::uint64_t offset) const { return size_bytes() - offset; }
};

// An object being written. Destroying it without commit() keeps the staged bytes for a resume by
// the same lease key until the lease expires; discard() drops them at once.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;

  // Writes at any offset below the declared size, in any order, from any thread; overlapping
  // rewrites of bytes already hashed are Error(Invalid).
  virtual void write_at(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  // Sequential form: writes at the end of what append() wrote so far.
  virtual void append(std::span<const std::byte> bytes) = 0;

  // Byte ranges not yet written, in order: what a resumed download still has to fetch.
  virtual std::vector<ByteRange> missing() const = 0;

  // Reads what is written while it is being written, not verified: ready_bytes() says how far it
  // goes. The reader outlives the writer, commit() and discard(). nullptr where the bytes are not
  // in a file of their own.
  virtual std::shared_ptr<const BlobReader> peek() { return nullptr; }

  // Makes what is written so far survive a crash (staging synced, ranges and hash state recorded).
  // Also done by itself every few dozen MiB.
  virtual void checkpoint() = 0;

  // Verifies that all bytes are there and that the SHA-256 is `expected` (when given), makes the
  // object durable, and returns its digest. A wrong digest is Error(Corrupt) and the staged bytes
  // are dropped. If the object is stored already, the new copy is dropped.
  virtual Digest commit(std::optional<Digest> expected) = 0;

  virtual void discard() noexcept = 0;
};

struct WriteIntent {
  std::string lease_key;         // idempotent: the same key resumes what it staged before
  std::uint64_t size_bytes = 0;  // exact size; staging is preallocated, so NoSpace comes first
};

class BlobStore {
 public:
  virtual ~BlobStore() = default;

  // Size of a stored, healthy object; nothing when it is not stored.
  virtual std::optional<std::uint64_t> find(const Digest& digest) const = 0;
  virtual std::unique_ptr<BlobReader> open(const Digest& digest) const = 0;

  // Whether a lease that has not expired, and whose key starts with this, was given for the object.
  virtual bool is_leased(std::string_view key_prefix, const Digest& digest) const = 0;

  // Starts or resumes staging. Conflict when another live writer holds the key.
  virtual std::unique_ptr<BlobWriter> create(const WriteIntent& intent) = 0;

  // Stores a small object in one go (at most kSmallObjectMax bytes go to the catalog itself).
  // Durable on return, alive for one lease period.
  virtual Digest put(std::span<const std::byte> bytes) = 0;
  // The same for many at once: one synced write for all of them.
  virtual std::vector<Digest> put_all(std::span<const std::span<const std::byte>> objects) = 0;
};

// Calls `use` with all of the bytes in order, a piece of at most 1 MiB at a time; the piece is
// valid during the call.
void for_each_piece(const BlobReader& reader,
                    const std::function<void(std::span<const std::byte> piece)>& use);

// Reads a whole object; LimitExceeded above `size_max_bytes`.
std::string read_object(const BlobStore& store, const Digest& digest, std::uint64_t size_max_bytes);

}  // namespace holdfast::storage
