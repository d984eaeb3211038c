// Rows in, blocks out: the waist between convert and the kernels. Knows floats and bytes only.
//
// Thread-safe: no state. Rows are independent, so any slicing into rows gives the same bytes.
// Scratch is a few strips of 2048 floats on the stack; nothing is allocated.
// Blocks must lie at even addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

#include "quantize/format.h"

namespace holdfast::quantize {

std::uint32_t source_bytes(SourceType type) noexcept;

// A value that no format can hold: NaN or an infinity in the source, or an F64 beyond float32.
class ValueError : public std::runtime_error {
 public:
  ValueError(std::uint64_t index, float value);

  // Of the value, within the source span that was given.
  std::uint64_t index() const noexcept { return index_; }

  float value() const noexcept { return value_; }

 private:
  std::uint64_t index_;
  float value_;
};

// What encoding lost, over everything added. Error and source to about six digits, as strips of
// 2048 values are summed in float32 and only the strips in double; the other two follow from the
// source and Σx(x - y), to about six digits of the source. The order is fixed, so that the sums do
// not depend on the CPU; adding slices in a fixed order makes them independent of threads too.
struct ErrorSums {
  std::uint64_t count = 0;
  double squared_error = 0, squared_source = 0, squared_decoded = 0, product = 0;
  float max_abs_error = 0;

  void add(const ErrorSums& other) noexcept;
  double rmse() const noexcept;    // 0 when nothing was added
  double cosine() const noexcept;  // 1 when both sides are zero
  bool operator==(const ErrorSums&) const = default;
};

// Identical: the official quantizer's bytes. Best: for the K formats, IQ4_NL and IQ4_XS the same
// format with less squared error (weighted by importance where given), on no block more than
// identical's, at up to twice its time; the same bytes on every CPU again. Formats
// without a better encoder ignore the mode.
enum class Mode : std::uint8_t { Identical, Best };

// Encodes `rows` rows of `row_values` values each from `source` (rows * row_values elements of
// `source_type`) into `out` (rows * row_bytes). `importance` is empty or has row_values weights
// that hold for every row; formats that ignore it accept it. `sums`, when given, is added to.
//
// Throws ValueError (the first offending value; `out` is then unspecified), and
// std::invalid_argument when the spans do not fit the shape, row_values is not a multiple of the
// block, or the format requires importance and none is given.
//
// A finite value may still be too large for the half-precision scale of its block, or for F16 or
// BF16: it becomes infinite, as the reference converter writes it. See first_overflow.
void encode_rows(Format format, SourceType source_type, std::span<const std::byte> source,
                 std::uint64_t rows, std::uint64_t row_values, std::span<const float> importance,
                 std::span<std::byte> out, ErrorSums* sums, Mode mode = Mode::Identical);

// Decodes out.size() values (a whole number of blocks) of `format`. Throws std::invalid_argument
// when the spans do not fit together. Any bytes decode to something; no bytes are invalid.
void decode_rows(Format format, std::span<const std::byte> blocks, std::span<float> out);

// The index of the first block whose scale, or whose number where it has none, is infinite or NaN:
// what the reference driver refuses to write. Nothing when all are finite.
std::optional<std::uint64_t> first_overflow(Format format,
                                            std::span<const std::byte> blocks) noexcept;

}  // namespace holdfast::quantize
