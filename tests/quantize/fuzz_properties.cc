#include "tests/quantize/fuzz_properties.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

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
    require(both_nan || std::memcmp(&fast[i], &plain[i], sizeof(float)) == 0, format,
            "decoders differ");
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
  if (format.encode_best != nullptr) format.encode_best(strip, fast.data());
}

}  // namespace

void check_quantize_properties(std::span<const std::byte> input) {
  if (input.empty()) return;
  const FormatInfo& format = formats()[static_cast<std::size_t>(input[0]) % formats().size()];
  const std::vector<std::byte> rest(input.begin() + 1, input.end());  // aligned, as blocks are
  check_decoders(format, rest);
  if (format.importance != Importance::Required) check_encoders(format, rest, false);
  if (format.importance != Importance::Ignored) check_encoders(format, rest, true);
}

}  // namespace holdfast::tests
