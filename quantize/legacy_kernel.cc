// The formats of 32 values, SIMD side.
#include "quantize/internal/families.h"

namespace holdfast::quantize {

void q4_0_encode(const Strip& strip, std::byte* blocks) noexcept {
  q4_0_encode_reference(strip, blocks);
}

void q4_0_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q4_0_decode_reference(blocks, count, values);
}

void q4_1_encode(const Strip& strip, std::byte* blocks) noexcept {
  q4_1_encode_reference(strip, blocks);
}

void q4_1_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q4_1_decode_reference(blocks, count, values);
}

void q5_0_encode(const Strip& strip, std::byte* blocks) noexcept {
  q5_0_encode_reference(strip, blocks);
}

void q5_0_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q5_0_decode_reference(blocks, count, values);
}

void q5_1_encode(const Strip& strip, std::byte* blocks) noexcept {
  q5_1_encode_reference(strip, blocks);
}

void q5_1_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q5_1_decode_reference(blocks, count, values);
}

void q8_0_encode(const Strip& strip, std::byte* blocks) noexcept {
  q8_0_encode_reference(strip, blocks);
}

void q8_0_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q8_0_decode_reference(blocks, count, values);
}

}  // namespace holdfast::quantize
