// Rows in, blocks out: the waist between convert and the kernels. Knows floats and bytes only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "quantize/format.h"

namespace holdfast::quantize {

// Element types that a checkpoint may hold; little-endian.
enum class SourceType { F32, F16, BF16, F64, F8_E4M3, F8_E5M2 };

std::uint32_t source_bytes(SourceType type) noexcept;

// What encoding lost, over everything added: sums in double, so that slices can be added in any
// fixed order.
struct ErrorSums {
  std::uint64_t count = 0;
  double squared_error = 0, squared_source = 0, squared_decoded = 0, product = 0;
  float max_abs_error = 0;

  void add(const ErrorSums& other) noexcept;
  double rmse() const noexcept;
  double cosine() const noexcept;
};

// Encodes `rows` rows of `row_values` values each from `source` (rows * row_values elements of
// `source_type`) into `out` (rows * row_bytes). `importance` is empty or has row_values weights that
// hold for every row. Rows are independent: any slicing gives the same bytes. Allocates at most one
// row of float scratch. NaN or infinity: throws Error naming the index of the value within `source`.
void encode_rows(Format format, SourceType source_type, std::span<const std::byte> source,
                 std::uint64_t rows, std::uint64_t row_values, std::span<const float> importance,
                 std::span<std::byte> out, ErrorSums* sums);

// Decodes `values` values (a whole number of blocks) of `format`.
void decode_rows(Format format, std::span<const std::byte> blocks, std::span<float> out);

}  // namespace holdfast::quantize
