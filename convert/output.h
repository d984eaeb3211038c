// Where a converted file goes: a file that appears under its name only when it is complete, or a
// stored object. Writes may come in any order, from one thread at a time; they must tile the file.
//
// An output may hold bytes of an earlier run of the same conversion (`resume`). Without finish() or
// keep() everything written is dropped when the object goes.
//
// Errors: Io, NoSpace, Conflict when the name is taken and `force` was not given, or when another
// process writes the same output.
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

// For as many bytes as come out of file order, how many of those before them are asked for.
inline constexpr std::uint64_t kCatchUpFactor = 2;

class Output {
 public:
  virtual ~Output() = default;

  // Whether an earlier run left these bytes here.
  virtual bool holds(storage::ByteRange range, const Digest& sha256) const = 0;

  // What this output's own hash needs of the bytes that write() gets at `offset`, for the caller to
  // feed before the next call: so they can be hashed beside other things. What comes out of file
  // order is asked for later, in place of such bytes, or read back by seal(); an output that hashes
  // as it writes asks for nothing.
  virtual Sha256Feed feed(std::uint64_t offset, std::span<const std::byte> bytes);

  // Bytes that an earlier run left may be written again. Beside feed(), from another thread.
  virtual void write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;

  // Makes the whole durable and returns its SHA-256. No write may follow.
  virtual Digest seal() = 0;

  // After seal(): makes it visible under its name.
  virtual void finish() = 0;

  // Leaves what is written for a later run.
  virtual void keep() noexcept = 0;
};

struct OutputFileOptions {
  std::filesystem::path path;
  std::uint64_t size_bytes = 0;
  bool force = false;   // replace an existing file
  bool resume = false;  // keep what an earlier run left
};

// Writes "<name>.part" beside the path and renames it when it is complete. Free space is checked
// first.
std::unique_ptr<Output> create_output_file(const OutputFileOptions& options);

// Bytes that this file's "<name>.part" still has to take from the disk.
std::uint64_t bytes_to_take(const OutputFileOptions& options);

// Error(NoSpace) when `folder` has less than that free.
void check_room(const std::filesystem::path& folder, std::uint64_t needed_bytes);

struct OutputObjectOptions {
  // Names the conversion too, not only where its output goes: what is staged under the key is taken
  // for this one's bytes.
  std::string lease_key;
  std::uint64_t size_bytes = 0;
  bool resume = false;
};

std::unique_ptr<Output> create_output_object(storage::BlobStore& blobs,
                                             const OutputObjectOptions& options);

}  // namespace holdfast::convert
