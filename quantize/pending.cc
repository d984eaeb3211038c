// Formats whose kernel is still the reference.
#include "quantize/internal/families.h"

namespace holdfast::quantize {

void q2_k_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q2_k_decode_reference(blocks, count, values);
}

void q3_k_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q3_k_decode_reference(blocks, count, values);
}

void q4_k_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q4_k_decode_reference(blocks, count, values);
}

void q5_k_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q5_k_decode_reference(blocks, count, values);
}

void q6_k_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q6_k_decode_reference(blocks, count, values);
}

void tq1_0_encode(const Strip& strip, std::byte* blocks) noexcept {
  tq1_0_encode_reference(strip, blocks);
}

void tq1_0_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  tq1_0_decode_reference(blocks, count, values);
}

void tq2_0_encode(const Strip& strip, std::byte* blocks) noexcept {
  tq2_0_encode_reference(strip, blocks);
}

void tq2_0_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  tq2_0_decode_reference(blocks, count, values);
}

void iq4_nl_encode(const Strip& strip, std::byte* blocks) noexcept {
  iq4_nl_encode_reference(strip, blocks);
}

void iq4_nl_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  iq4_nl_decode_reference(blocks, count, values);
}

void iq4_xs_encode(const Strip& strip, std::byte* blocks) noexcept {
  iq4_xs_encode_reference(strip, blocks);
}

void iq4_xs_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  iq4_xs_decode_reference(blocks, count, values);
}

void mxfp4_encode(const Strip& strip, std::byte* blocks) noexcept {
  mxfp4_encode_reference(strip, blocks);
}

void mxfp4_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  mxfp4_decode_reference(blocks, count, values);
}

void nvfp4_encode(const Strip& strip, std::byte* blocks) noexcept {
  nvfp4_encode_reference(strip, blocks);
}

void nvfp4_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  nvfp4_decode_reference(blocks, count, values);
}

void q1_0_encode(const Strip& strip, std::byte* blocks) noexcept {
  q1_0_encode_reference(strip, blocks);
}

void q1_0_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q1_0_decode_reference(blocks, count, values);
}

void q2_0_encode(const Strip& strip, std::byte* blocks) noexcept {
  q2_0_encode_reference(strip, blocks);
}

void q2_0_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  q2_0_decode_reference(blocks, count, values);
}

}  // namespace holdfast::quantize
