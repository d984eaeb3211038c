// What a running conversion has finished, line by line in a small file, so that the same command
// goes on after kill -9. A line is written after its tensor's bytes, and whoever resumes checks
// those bytes against the line's digest, so neither needs a sync: what a power cut took is simply
// done again.
//
// A conversion that is never taken up again leaves its journal behind, until prune().
//
// One owner. Errors: Io. A file that is no journal, or that of another conversion, counts as none;
// a torn last line is ignored.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "convert/tensor_record.h"
#include "storage/base/digest.h"
#include "storage/base/file.h"

namespace holdfast::convert {

class Journal {
 public:
  // `identity` is a digest of all that the outputs' bytes depend on; `outputs` is their number.
  Journal(std::filesystem::path path, const Digest& identity, std::size_t outputs);

  // Of the tensors finished by earlier runs, in the order of work: a record for each output.
  const std::vector<std::vector<TensorRecord>>& finished() const noexcept { return finished_; }

  // Forgets all but the first `count` finished tensors. Call it once before append().
  void keep(std::size_t count);

  // Adds the next finished tensor.
  void append(std::span<const TensorRecord> records);

  void remove() noexcept;

  // Removes the journals in `folder` that nobody has written since `period` ago.
  static void prune(const std::filesystem::path& folder, std::chrono::hours period);

 private:
  void read(std::size_t outputs);

  std::filesystem::path path_;
  std::string first_line_;
  std::vector<std::vector<TensorRecord>> finished_;
  UniqueFd fd_;
  std::uint64_t end_ = 0;
};

}  // namespace holdfast::convert
