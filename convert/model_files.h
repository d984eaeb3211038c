// Where a checkpoint's files come from: a folder, or a stored revision. Convert reads through this
// and never asks which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/blob_store.h"

namespace holdfast::convert {

// One file opened for reading; any range, from any thread.
class ModelFile {
 public:
  virtual ~ModelFile() = default;
  virtual std::uint64_t size_bytes() const noexcept = 0;

  // Another text when the bytes may have changed; "" when that cannot be told.
  virtual std::string version() const { return {}; }

  // Error(Corrupt) naming the file when the range passes its end.
  virtual void read(std::uint64_t offset, std::span<std::byte> out) const = 0;

  // Says that this range, which must lie inside the file, is read soon: a disk may begin. Returns
  // at once and changes nothing else.
  virtual void will_read(storage::ByteRange /*range*/) const {}
};

// The files of one model. Thread-safe for reading. Errors: NotFound, Corrupt, LimitExceeded, Io.
class ModelFiles {
 public:
  virtual ~ModelFiles() = default;

  // The name that metadata heuristics start from: the folder's name, or the repository's.
  virtual std::string model_name() const = 0;
  // Relative paths, sorted.
  virtual std::vector<std::string> paths() const = 0;
  virtual bool has(std::string_view path) const = 0;
  virtual std::unique_ptr<ModelFile> open(std::string_view path) const = 0;

  // The whole file as text, at most `size_max_bytes`.
  std::string read_text(std::string_view path, std::uint64_t size_max_bytes = 256ULL << 20) const;
};

// A plain folder. Symbolic links that leave it are refused.
std::unique_ptr<ModelFiles> open_directory(std::string_view path);

// A single file, and those beside it whose names begin like its own: the other files of a split
// one. The model's name is the file's without its extension. NotFound when it is not there.
std::unique_ptr<ModelFiles> open_model_file(std::string_view path);

}  // namespace holdfast::convert
