// Where a converted file goes: a file that appears under its name only when it is complete, or a
// stored object. Writes may come in any order, from one thread at a time; they must tile the file.
// Errors: Io, NoSpace, Conflict when the name is taken and `force` was not given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "storage/base/digest.h"
#include "storage/blob_store.h"

namespace holdfast::convert {

class Output {
 public:
  // Without finish(), what was written is dropped.
  virtual ~Output() = default;
  virtual void write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  // Makes it durable and visible. Returns the SHA-256 of the whole.
  virtual Digest finish() = 0;
};

struct OutputFileOptions {
  std::filesystem::path path;
  std::uint64_t size_bytes = 0;
  bool force = false;  // replace an existing file
};

// Writes "<name>.part" beside the path and renames it when it is complete. Space is allocated
// first.
std::unique_ptr<Output> create_output_file(const OutputFileOptions& options);

// Writes an object under the lease `key`.
std::unique_ptr<Output> create_output_object(storage::BlobStore& blobs, const std::string& key,
                                             std::uint64_t size_bytes);

}  // namespace holdfast::convert
