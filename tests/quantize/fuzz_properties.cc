#include "tests/quantize/fuzz_properties.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <vector>

#include "quantize/internal/numbers.h"
#include "quantize/internal/strips.h"
#include "quantize/rows.h"

namespace holdfast::tests {
namespace {

using namespace quantize;

constexpr std::size_t kValuesMax = 4096;

void require(bool condition, const FormatInfo& format, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(format.name.size()), format.name.data(),
               what);
  std::abort();
}

void check_decoders(const FormatInfo& format, std::span<const std::byte> bytes) {
  const std::size_t blocks = bytes.size() / format.block_bytes;
  std::vector<float> fast(blocks * format.block_values), plain(fast.size());
  decode_rows(format.format, bytes.first(blocks * format.block_bytes), fast);
  format.decode_reference(bytes.data(), plain.size(), plain.data());
  for (std::size_t i = 0; i < fast.size(); ++i) {
    const bool both_nan = std::isnan(fast[i]) && std::isnan(plain[i]);
    require(both_nan || bits_of(fast[i]) == bits_of(plain[i]), format, "decoders differ");
  }
}

// NaN scales may differ in their sign.
bool same_blocks(const FormatInfo& format, std::span<const std::byte> a,
                 std::span<const std::byte> b) {
  for (std::size_t at = 0; at < a.size(); at += format.block_bytes) {
    const auto ours = a.subspan(at, format.block_bytes), theirs = b.subspan(at, format.block_bytes);
    if (std::memcmp(ours.data(), theirs.data(), ours.size()) == 0) continue;
    if (!first_overflow(format.format, ours) || !first_overflow(format.format, theirs))
      return false;
  }
  return true;
}

// Weighted squared error of each block.
std::vector<double> errors_of(const FormatInfo& format, const Strip& strip,
                              std::span<const std::byte> blocks) {
  std::vector<float> decoded(strip.count);
  decode_rows(format.format, blocks, decoded);
  std::vector<double> sums(strip.count / format.block_values);
  for (std::size_t i = 0; i < strip.count; ++i) {
    const double difference = double{strip.values[i]} - decoded[i];
    const double weight = strip.importance == nullptr ? 1 : strip.importance[i];
    sums[i / format.block_values] += weight * difference * difference;
  }
  return sums;
}

// `blocks` are those of the identical encoder.
void check_best(const FormatInfo& format, const Strip& strip, std::span<const std::byte> blocks) {
  if (format.encode_best == nullptr) return;
  std::vector<std::byte> best(blocks.size());
  format.encode_best(strip, best.data());
  const auto before = errors_of(format, strip, blocks), after = errors_of(format, strip, best);
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (!std::isfinite(before[i])) continue;
    require(after[i] <= before[i] * (1 + 1e-12), format, "best is worse");
  }
}

// What is measured while encoding is what decoding the blocks gives, to the bit.
void check_measured(const FormatInfo& format, Strip strip) {
  strip.count = strip.count / kSumPlaces * kSumPlaces;
  if (format.encode_measured == nullptr) return;
  std::vector<std::byte> measured(row_bytes(format, strip.count)), plain(measured.size());
  PlacedSums ours, decoded;
  const bool tame = format.encode_measured(strip, measured.data(), ours);
  format.encode(strip, plain.data());
  require(same_blocks(format, measured, plain), format, "measured blocks differ");
  const bool expected =
      add_decoded_errors(format, strip.values, plain.data(), strip.count, decoded);
  require(tame == expected && std::ranges::equal(ours.error, decoded.error) &&
              std::ranges::equal(ours.cross, decoded.cross) &&
              ours.largest_error == decoded.largest_error,
          format, "measured sums differ");
}

void check_encoders(const FormatInfo& format, std::span<const std::byte> bytes, bool weighted) {
  const std::size_t count = std::min(bytes.size() / sizeof(float), kValuesMax) /
                            format.block_values * format.block_values;
  std::vector<float> values(count), importance(count, 0.0f), mean_square(count / 32 + 1, 0.0f);
  if (count > 0) std::memcpy(values.data(), bytes.data(), count * sizeof(float));
  for (float& value : values) {
    if (!std::isfinite(value)) value = 0;
  }
  for (std::size_t i = 0; i < count; ++i) {
    importance[i] = static_cast<float>(static_cast<unsigned>(bytes[i]) % 7) * 0.25f;
    mean_square[i / 32] = std::fabs(values[i]);
  }
  const Strip strip{values.data(), count, weighted ? importance.data() : nullptr,
                    weighted ? mean_square.data() : nullptr};
  std::vector<std::byte> fast(row_bytes(format, count)), plain(fast.size());
  format.encode(strip, fast.data());
  format.encode_reference(strip, plain.data());
  require(same_blocks(format, fast, plain), format, "encoders differ");
  check_best(format, strip, fast);
  check_measured(format, strip);
}

float element(SourceType type, const std::byte* from) {
  switch (type) {
    case SourceType::F32:
      return load<float>(from);
    case SourceType::F16:
      return half_to_float(load<std::uint16_t>(from));
    case SourceType::BF16:
      return bfloat_to_float(load<std::uint16_t>(from));
    case SourceType::F64:
      return static_cast<float>(load<double>(from));
    case SourceType::F8_E4M3:
      return e4m3_to_float(load<std::uint8_t>(from));
    case SourceType::F8_E5M2:
      break;
  }
  return e5m2_to_float(load<std::uint8_t>(from));
}

// The blocks and error sums of finite elements are those of the float32 that they widen to.
void check_elements(const FormatInfo& format, SourceType type, std::span<const std::byte> elements,
                    std::span<const float> values) {
  const std::vector<float> ones(values.size(), 1.0f);
  std::vector<std::byte> blocks(row_bytes(format, values.size())), expected(blocks.size());
  ErrorSums sums;
  encode_rows(format.format, type, elements, 1, values.size(), ones, blocks, &sums);
  encode_rows(format.format, SourceType::F32, std::as_bytes(values), 1, values.size(), ones,
              expected, nullptr);
  require(blocks == expected, format, "blocks depend on the source's type");
  std::vector<float> decoded(values.size());
  decode_rows(format.format, blocks, decoded);
  double error = 0, source = 0, product = 0;
  float largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = values[i], difference = x - decoded[i];
    error += difference * difference;
    source += x * x;
    product += x * decoded[i];
    largest = std::max(largest, std::fabs(values[i] - decoded[i]));
  }
  if (!std::isfinite(error)) return;  // a scale overflowed
  // Sixty-four roundings of float32 and what underflows there.
  const double least = 1e-45 * static_cast<double>(values.size());
  require(sums.count == values.size(), format, "count");
  require(std::fabs(sums.squared_error - error) <= 5e-6 * error + least, format, "squared error");
  require(std::fabs(sums.squared_source - source) <= 5e-6 * source, format, "squared source");
  require(std::fabs(sums.product - product) <= 1e-5 * (source + error), format, "product");
  require(sums.max_abs_error == largest, format, "largest error");
}

void check_source(const FormatInfo& format, SourceType type, std::vector<std::byte> bytes) {
  const std::size_t each = source_bytes(type);
  const std::size_t count =
      std::min(bytes.size() / each, kValuesMax) / format.block_values * format.block_values;
  bytes.resize(count * each);
  std::vector<float> expected(count), wide(count);
  std::size_t bad = count;
  for (std::size_t i = count; i-- > 0;) {
    expected[i] = element(type, bytes.data() + i * each);
    if (!std::isfinite(expected[i])) bad = i;
  }
  try {
    encode_rows(Format::F32, type, bytes, 1, count, {}, std::as_writable_bytes(std::span(wide)),
                nullptr);
    require(bad == count, format, "a bad value was taken");
    for (std::size_t i = 0; i < count; ++i) {
      require(bits_of(wide[i]) == bits_of(expected[i]), format, "widened values differ");
    }
  } catch (const ValueError& error) {
    require(error.index() == bad, format, "another value was refused");
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (std::isfinite(expected[i])) continue;
    expected[i] = 0;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(i * each), each, std::byte{0});
  }
  check_elements(format, type, bytes, expected);
}

}  // namespace

void check_quantize_properties(std::span<const std::byte> input) {
  if (input.empty()) return;
  const FormatInfo& format = formats()[static_cast<std::size_t>(input[0]) % formats().size()];
  const std::vector<std::byte> rest(input.begin() + 1, input.end());  // aligned, as blocks are
  check_decoders(format, rest);
  if (format.importance != Importance::Required) check_encoders(format, rest, false);
  if (format.importance != Importance::Ignored) check_encoders(format, rest, true);
  constexpr SourceType kTypes[] = {SourceType::F32, SourceType::F16,     SourceType::BF16,
                                   SourceType::F64, SourceType::F8_E4M3, SourceType::F8_E5M2};
  if (!rest.empty()) {
    check_source(format, kTypes[static_cast<std::size_t>(rest.back()) % std::size(kTypes)], rest);
  }
}

}  // namespace holdfast::tests
