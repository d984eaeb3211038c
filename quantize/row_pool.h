// Rows in, blocks out, on several threads. Work is cut into chunks of rows whose size does not
// depend on the number of threads, and error sums are added chunk by chunk in order: bytes and sums
// are the same for any number of threads.
//
// A pool keeps its threads until it is destroyed. One call at a time runs on a pool; a second
// caller waits. The calling thread works too. Nothing is queued beyond the one call, so memory is
// bounded by 64 bytes per chunk of at least 16384 values.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "quantize/rows.h"

namespace holdfast::quantize {

class RowPool {
 public:
  // `threads` in all, the caller's included, at least 1; 0 means one per CPU.
  explicit RowPool(unsigned threads = 0);
  RowPool(const RowPool&) = delete;
  RowPool& operator=(const RowPool&) = delete;
  ~RowPool();

  unsigned threads() const noexcept;

  // As the functions in rows.h, including what they throw; of several bad values the first one is
  // reported.
  void encode_rows(Format format, SourceType source_type, std::span<const std::byte> source,
                   std::uint64_t rows, std::uint64_t row_values, std::span<const float> importance,
                   std::span<std::byte> out, ErrorSums* sums, Mode mode = Mode::Identical);
  void decode_rows(Format format, std::span<const std::byte> blocks, std::span<float> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::quantize
