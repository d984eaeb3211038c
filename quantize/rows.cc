#include "quantize/rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "quantize/internal/numbers.h"
#include "quantize/internal/strips.h"

namespace holdfast::quantize {
namespace {

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

[[noreturn]] void throw_first_bad(SourceType type, const std::byte* source, std::uint64_t begin,
                                  std::size_t count) {
  float value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    widen(type, source + (begin + i) * source_bytes(type), 1, &value);
    if (!std::isfinite(value)) throw ValueError(begin + i, value);
  }
  throw std::logic_error("quantize: widen reported a bad value that is not there");
}

// The source as strips of float32; checks every value.
struct Source {
  SourceType type;
  const std::byte* bytes;

  void widen_to(float* out, std::uint64_t begin, std::size_t count,
                StripSums* sums = nullptr) const {
    const bool finite = sums == nullptr ? widen(type, at(begin), count, out)
                                        : sums->widen(type, at(begin), count, out);
    if (!finite) throw_first_bad(type, bytes, begin, count);
  }

  const std::byte* at(std::uint64_t begin) const { return bytes + begin * source_bytes(type); }
};

// Mean squares of rows, each the sequential float32 sum that the reference takes.
class RowMeans {
 public:
  RowMeans(const Source& source, std::uint64_t row_values)
      : source_(source), row_values_(row_values) {}

  float of(std::uint64_t row) {
    if (row != row_) {
      mean_ = compute(row);
      row_ = row;
    }
    return mean_;
  }

 private:
  float compute(std::uint64_t row) const {
    alignas(64) float values[kStripValues];
    float sum = 0;
    for (std::uint64_t begin = 0; begin < row_values_; begin += kStripValues) {
      const std::size_t count = std::min<std::uint64_t>(kStripValues, row_values_ - begin);
      source_.widen_to(values, row * row_values_ + begin, count);
      for (std::size_t i = 0; i < count; ++i) sum += values[i] * values[i];
    }
    return sum / static_cast<float>(row_values_);
  }

  const Source& source_;
  std::uint64_t row_values_;
  std::uint64_t row_ = ~std::uint64_t{0};
  float mean_ = 0;
};

// The weights of values [begin, begin + count): a view into the row's weights where the strip lies
// within one row, otherwise a copy into `scratch`.
const float* weights_of(std::span<const float> importance, std::uint64_t begin, std::size_t count,
                        float* scratch) {
  std::uint64_t column = begin % importance.size();
  if (column + count <= importance.size()) return importance.data() + column;
  for (std::size_t done = 0; done < count;) {
    const std::size_t part = std::min<std::uint64_t>(count - done, importance.size() - column);
    std::memcpy(scratch + done, importance.data() + column, part * sizeof(float));
    done += part;
    column = 0;
  }
  return scratch;
}

void check_shape(const FormatInfo& format, SourceType type, std::span<const std::byte> source,
                 std::uint64_t rows, std::uint64_t row_values, std::span<const float> importance,
                 std::span<const std::byte> out) {
  require(row_values % format.block_values == 0, "quantize: row is not a whole number of blocks");
  require(source.size() == rows * row_values * source_bytes(type),
          "quantize: source does not fit the shape");
  require(out.size() == rows * row_bytes(format, row_values),
          "quantize: output does not fit the shape");
  require(importance.empty() || importance.size() == row_values,
          "quantize: importance does not fit the row");
  require(!importance.empty() || format.importance != Importance::Required || out.empty(),
          "quantize: this format requires importance weights");
}

}  // namespace

ValueError::ValueError(std::uint64_t index, float value)
    : std::runtime_error("value " + std::to_string(index) + ": expected a finite number, found " +
                         std::to_string(value)),
      index_(index),
      value_(value) {}

std::uint32_t source_bytes(SourceType type) noexcept {
  constexpr std::uint32_t kBytes[] = {4, 2, 2, 8, 1, 1};
  return kBytes[static_cast<std::size_t>(type)];
}

void ErrorSums::add(const ErrorSums& other) noexcept {
  count += other.count;
  squared_error += other.squared_error;
  squared_source += other.squared_source;
  squared_decoded += other.squared_decoded;
  product += other.product;
  max_abs_error = std::max(max_abs_error, other.max_abs_error);
}

double ErrorSums::rmse() const noexcept {
  return count == 0 ? 0 : std::sqrt(squared_error / static_cast<double>(count));
}

double ErrorSums::cosine() const noexcept {
  const double norms = std::sqrt(squared_source) * std::sqrt(squared_decoded);
  if (norms > 0) return product / norms;
  return squared_source == squared_decoded ? 1 : 0;
}

void encode_rows(Format format, SourceType source_type, std::span<const std::byte> source,
                 std::uint64_t rows, std::uint64_t row_values, std::span<const float> importance,
                 std::span<std::byte> out, ErrorSums* sums, Mode mode) {
  const FormatInfo& row = info(format);
  check_shape(row, source_type, source, rows, row_values, importance, out);
  const EncodeStrip encode =
      mode == Mode::Best && row.encode_best != nullptr ? row.encode_best : row.encode;
  const bool weighted = !importance.empty() && row.importance != Importance::Ignored;
  const Source from{source_type, source.data()};
  const bool copies = row.source_type == source_type;
  const bool is_lossless = row.source_type == SourceType::F32;  // holds what was widened
  const EncodeMeasured measured = encode == row.encode ? row.encode_measured : nullptr;
  RowMeans means(from, row_values);
  StripSums strip_sums;
  alignas(64) float values[kStripValues], weights[kStripValues];
  float mean_square[kStripValues / 32];
  const std::uint64_t total = rows * row_values;
  for (std::uint64_t begin = 0; begin < total; begin += kStripValues) {
    const std::size_t count = std::min<std::uint64_t>(kStripValues, total - begin);
    from.widen_to(values, begin, count, sums == nullptr ? nullptr : &strip_sums);
    std::byte* blocks = out.data() + row_bytes(row, begin);
    if (copies) {
      std::memcpy(blocks, from.at(begin), row_bytes(row, count));
      if (sums != nullptr) strip_sums.add_lossless(values, count);
      continue;
    }
    Strip strip{values, count};
    if (weighted) strip.importance = weights_of(importance, begin, count, weights);
    if (weighted && row.needs_mean_square) {
      for (std::size_t i = 0; i < count; i += row.block_values) {
        mean_square[i / row.block_values] = means.of((begin + i) / row_values);
      }
      strip.mean_square = mean_square;
    }
    if (sums == nullptr) {
      encode(strip, blocks);
    } else if (is_lossless) {
      encode(strip, blocks);
      strip_sums.add_lossless(values, count);
    } else {
      strip_sums.encode(row, encode, measured, strip, blocks);
    }
  }
  if (sums != nullptr) sums->add(strip_sums.total());
}

void decode_rows(Format format, std::span<const std::byte> blocks, std::span<float> out) {
  const FormatInfo& row = info(format);
  require(out.size() % row.block_values == 0, "quantize: not a whole number of blocks");
  require(blocks.size() == row_bytes(row, out.size()), "quantize: blocks do not fit the values");
  row.decode(blocks.data(), out.size(), out.data());
}

std::optional<std::uint64_t> first_overflow(Format format,
                                            std::span<const std::byte> blocks) noexcept {
  const FormatInfo& row = info(format);
  const Scales scales = row.scales;
  if (row.overflows == nullptr && scales.count == 0) return std::nullopt;
  const std::uint64_t count = blocks.size() / row.block_bytes;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::byte* block = blocks.data() + i * row.block_bytes;
    if (row.overflows != nullptr && row.overflows(block)) return i;
    for (std::uint32_t s = 0; s < scales.count; ++s) {
      const auto word = load<std::uint16_t>(block + scales.offset + std::size_t{2} * s);
      if ((word & scales.special) == scales.special) return i;
    }
  }
  return std::nullopt;
}

}  // namespace holdfast::quantize
