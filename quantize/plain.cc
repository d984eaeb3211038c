// F32, F16 and BF16: one value a block. Scalar side; the kernels are in plain_kernel.cc.
#include <cstring>

#include "quantize/internal/families.h"
#include "quantize/internal/numbers.h"

namespace holdfast::quantize {

void f32_encode_reference(const Strip& strip, std::byte* blocks) noexcept {
  if (strip.count > 0) std::memcpy(blocks, strip.values, strip.count * sizeof(float));
}

void f32_decode_reference(const std::byte* blocks, std::size_t count, float* values) noexcept {
  if (count > 0) std::memcpy(values, blocks, count * sizeof(float));
}

void f32_encode(const Strip& strip, std::byte* blocks) noexcept {
  f32_encode_reference(strip, blocks);
}

void f32_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  f32_decode_reference(blocks, count, values);
}

void f16_encode_reference(const Strip& strip, std::byte* blocks) noexcept {
  for (std::size_t i = 0; i < strip.count; ++i) {
    store(blocks + 2 * i, float_to_half(strip.values[i]));
  }
}

void f16_decode_reference(const std::byte* blocks, std::size_t count, float* values) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = half_to_float(load<std::uint16_t>(blocks + 2 * i));
  }
}

void bf16_encode_reference(const Strip& strip, std::byte* blocks) noexcept {
  for (std::size_t i = 0; i < strip.count; ++i) {
    store(blocks + 2 * i, float_to_bfloat(strip.values[i]));
  }
}

void bf16_decode_reference(const std::byte* blocks, std::size_t count, float* values) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = bfloat_to_float(load<std::uint16_t>(blocks + 2 * i));
  }
}

}  // namespace holdfast::quantize
