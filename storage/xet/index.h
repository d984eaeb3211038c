// How stored objects would look in a Xet store: where they are cut into chunks, which runs of
// chunks make a xorb, and what all of these are called. The bytes themselves stay where they are:
// an index is what web/ needs to hand out parts of a whole object as parts of xorbs (xorb.h).
//
// An index is a function of the object's bytes, made once in the background (indexing.h), and goes
// with its object. An object has none until put_file(), which is when clients are told of it. The
// rows: storage/FORMAT.md, "xet". All members are thread-safe.
//
// Errors: NotFound, Corrupt (a damaged row), Io.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "storage/base/digest.h"
#include "storage/xet/hash.h"

namespace holdfast::storage::xet {

struct Chunk {
  Hash hash;
  std::uint32_t size_bytes = 0;

  bool operator==(const Chunk&) const = default;
};

// A run of an object's chunks.
struct Xorb {
  Hash hash;                     // the root over its chunks
  std::uint64_t offset = 0;      // of its first byte in the object
  std::uint64_t size_bytes = 0;  // of the object
  std::uint64_t chunks = 0;

  bool operator==(const Xorb&) const = default;
};

struct File {
  Hash hash;
  Digest object;
  std::uint64_t size_bytes = 0;
  std::vector<Xorb> xorbs;  // one after the other, all of the object

  bool operator==(const File&) const = default;
};

class Index {
 public:
  virtual ~Index() = default;

  // The name of an object's bytes as a Xet file; nothing without an index. A point look-up.
  virtual std::optional<Hash> find_hash(const Digest& object) const = 0;
  virtual std::optional<File> find_file(const Hash& hash) const = 0;
  // The chunks of the n-th xorb of an object.
  virtual std::vector<Chunk> chunks(const Digest& object, std::size_t xorb) const = 0;

  // Written one by one while an index is made; not to be seen before put_file().
  virtual void put_chunks(const Digest& object, std::size_t xorb,
                          std::span<const Chunk> chunks) = 0;
  // Durable, with all of its chunks, when it returns.
  virtual void put_file(const File& file) = 0;
};

}  // namespace holdfast::storage::xet
