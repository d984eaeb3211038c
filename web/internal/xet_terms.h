// Which chunks of which xorbs hold a range of a file: the answer of the reconstruction API (the Xet
// protocol's file-reconstruction.md, specification 1.1.0), before it is JSON. Thread-safe; throws
// what the index throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "storage/blob_store.h"
#include "storage/xet/index.h"

namespace holdfast::web {

// Chunks `first` to `end`, without that one, of a xorb of the file, and where they lie in it.
struct XorbPart {
  std::size_t xorb = 0;
  std::size_t first = 0;
  std::size_t end = 0;
  storage::ByteRange bytes;

  bool operator==(const XorbPart&) const = default;
};

struct Term {
  XorbPart part;
  std::uint64_t size_bytes = 0;  // of the file

  bool operator==(const Term&) const = default;
};

struct Reconstruction {
  std::uint64_t offset = 0;  // of the range in the first term
  std::vector<Term> terms;   // in the file's order
  // By the hash of the xorb: what to fetch, each part once, in order. A file that repeats itself
  // may have the same xorb several times.
  std::map<storage::xet::Hash, std::vector<XorbPart>> parts;
};

// `range` lies inside the file and is not empty.
Reconstruction reconstruct(const storage::xet::Index& index, const storage::xet::File& file,
                           storage::ByteRange range);

}  // namespace holdfast::web
