// Grid formats whose kernel is still the reference.
#include "quantize/internal/families.h"

namespace holdfast::quantize {

void iq1_s_encode(const Strip& strip, std::byte* blocks) noexcept {
  iq1_s_encode_reference(strip, blocks);
}

void iq1_s_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  iq1_s_decode_reference(blocks, count, values);
}

void iq1_m_encode(const Strip& strip, std::byte* blocks) noexcept {
  iq1_m_encode_reference(strip, blocks);
}

void iq1_m_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  iq1_m_decode_reference(blocks, count, values);
}

void iq2_xxs_encode(const Strip& strip, std::byte* blocks) noexcept {
  iq2_xxs_encode_reference(strip, blocks);
}

void iq2_xxs_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  iq2_xxs_decode_reference(blocks, count, values);
}

void iq2_xs_encode(const Strip& strip, std::byte* blocks) noexcept {
  iq2_xs_encode_reference(strip, blocks);
}

void iq2_xs_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  iq2_xs_decode_reference(blocks, count, values);
}

void iq2_s_encode(const Strip& strip, std::byte* blocks) noexcept {
  iq2_s_encode_reference(strip, blocks);
}

void iq2_s_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  iq2_s_decode_reference(blocks, count, values);
}

void iq3_xxs_encode(const Strip& strip, std::byte* blocks) noexcept {
  iq3_xxs_encode_reference(strip, blocks);
}

void iq3_xxs_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  iq3_xxs_decode_reference(blocks, count, values);
}

void iq3_s_encode(const Strip& strip, std::byte* blocks) noexcept {
  iq3_s_encode_reference(strip, blocks);
}

void iq3_s_decode(const std::byte* blocks, std::size_t count, float* values) noexcept {
  iq3_s_decode_reference(blocks, count, values);
}

}  // namespace holdfast::quantize
