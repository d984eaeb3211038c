#include "quantize/internal/best.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/best.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/lanes-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

// Weighted squared error of `count` values, a multiple of eight, in eight interleaved double sums
// whatever the vector width.
double WeightedError(const float* x, const float* y, const float* weights, std::size_t count) {
  constexpr std::size_t kSums = 8;
  const hn::CappedTag<double, kSums> wide;
  const hn::Rebind<float, decltype(wide)> narrow;
  constexpr std::size_t kStep = hn::MaxLanes(wide);
  alignas(64) double sums[kSums];
  for (std::size_t p = 0; p < kSums; p += kStep) {
    auto sum = hn::Zero(wide);
    for (std::size_t i = p; i < count; i += kSums) {
      const auto difference = hn::PromoteTo(wide, hn::LoadU(narrow, x + i)) -
                              hn::PromoteTo(wide, hn::LoadU(narrow, y + i));
      const auto square = difference * difference;
      sum =
          sum + (weights == nullptr ? square
                                    : square * hn::PromoteTo(wide, hn::LoadU(narrow, weights + i)));
    }
    hn::Store(sum, wide, sums + p);
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// The same in float32: no sum here has more than 256 terms, none of them negative, so that it is
// within 2^-15 of the exact one unless the squares leave float32's normal numbers.
float RoughError(const float* x, const float* y, const float* weights, std::size_t count) {
  Floats sum = hn::Zero(kFloat);
  for (std::size_t i = 0; i < count; i += kLanes) {
    const Floats difference = hn::LoadU(kFloat, x + i) - hn::LoadU(kFloat, y + i);
    const Floats square = difference * difference;
    sum = sum + (weights == nullptr ? square : square * hn::LoadU(kFloat, weights + i));
  }
  return hn::GetLane(hn::SumOfLanes(kFloat, sum));
}

// Whether y has less error than z. The exact sums are for what the rough ones leave open.
bool IsBetter(const float* x, const float* y, const float* z, const float* weights,
              std::size_t count) {
  constexpr float kMargin = 1 + 0x1p-14f;
  const float rough_y = RoughError(x, y, weights, count);
  const float rough_z = RoughError(x, z, weights, count);
  if (rough_y < 1e30f && rough_z < 1e30f && rough_z > 1e-25f) {
    if (rough_y * kMargin < rough_z) return true;
    if (rough_y > rough_z * kMargin) return false;
  }
  return WeightedError(x, y, weights, count) < WeightedError(x, z, weights, count);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HWY_EXPORT(IsBetter);

namespace {

constexpr std::size_t kChunk = 2048;
constexpr std::size_t kChunkBytesMax = kChunk;  // no format here has more than a byte a value

// Copies the candidates that are strictly better over the identical blocks in `out`.
void choose(const FormatInfo& row, const Strip& strip, const std::byte* candidates,
            std::byte* out) noexcept {
  alignas(64) float ours[kChunk], theirs[kChunk];
  row.decode(candidates, strip.count, ours);
  row.decode(out, strip.count, theirs);
  for (std::size_t at = 0; at < strip.count; at += row.block_values) {
    const std::size_t block = at / row.block_values * row.block_bytes;
    if (std::memcmp(candidates + block, out + block, row.block_bytes) == 0) continue;
    const float* weights = strip.importance == nullptr ? nullptr : strip.importance + at;
    if (HWY_DYNAMIC_DISPATCH(IsBetter)(strip.values + at, ours + at, theirs + at, weights,
                                       row.block_values)) {
      std::memcpy(out + block, candidates + block, row.block_bytes);
    }
  }
}

}  // namespace

void encode_best(Format format, Improve improve, const Strip& strip, std::byte* out) noexcept {
  const FormatInfo& row = info(format);
  alignas(64) std::byte candidates[kChunkBytesMax];
  for (std::size_t at = 0; at < strip.count; at += kChunk) {
    const Strip chunk = {strip.values + at, std::min(kChunk, strip.count - at),
                         strip.importance == nullptr ? nullptr : strip.importance + at};
    std::byte* blocks = out + at / row.block_values * row.block_bytes;
    row.encode(chunk, blocks);
    std::memcpy(candidates, blocks, chunk.count / row.block_values * row.block_bytes);
    improve(chunk, blocks, candidates);
    choose(row, chunk, candidates, blocks);
  }
}

}  // namespace holdfast::quantize
#endif
