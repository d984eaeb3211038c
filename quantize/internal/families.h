// What the families offer to the table in formats.cc: per format a scalar encoder (the
// specification), a SIMD encoder that gives the same bytes, and both decoders.
#pragma once

#include <cstddef>

#include "quantize/format.h"

namespace holdfast::quantize {

#define HOLDFAST_FORMAT(name)                                                             \
  void name##_encode(const Strip& strip, std::byte* blocks) noexcept;                     \
  void name##_encode_reference(const Strip& strip, std::byte* blocks) noexcept;           \
  void name##_decode(const std::byte* blocks, std::size_t count, float* values) noexcept; \
  void name##_decode_reference(const std::byte* blocks, std::size_t count, float* values) noexcept

HOLDFAST_FORMAT(f32);
HOLDFAST_FORMAT(f16);
HOLDFAST_FORMAT(bf16);
HOLDFAST_FORMAT(q4_0);
HOLDFAST_FORMAT(q4_1);
HOLDFAST_FORMAT(q5_0);
HOLDFAST_FORMAT(q5_1);
HOLDFAST_FORMAT(q8_0);
HOLDFAST_FORMAT(q2_k);
HOLDFAST_FORMAT(q3_k);
HOLDFAST_FORMAT(q4_k);
HOLDFAST_FORMAT(q5_k);
HOLDFAST_FORMAT(q6_k);
HOLDFAST_FORMAT(tq1_0);
HOLDFAST_FORMAT(tq2_0);
HOLDFAST_FORMAT(iq4_nl);
HOLDFAST_FORMAT(iq4_xs);
HOLDFAST_FORMAT(mxfp4);
HOLDFAST_FORMAT(nvfp4);
HOLDFAST_FORMAT(q1_0);
HOLDFAST_FORMAT(q2_0);
HOLDFAST_FORMAT(iq1_s);
HOLDFAST_FORMAT(iq1_m);
HOLDFAST_FORMAT(iq2_xxs);
HOLDFAST_FORMAT(iq2_xs);
HOLDFAST_FORMAT(iq2_s);
HOLDFAST_FORMAT(iq3_xxs);
HOLDFAST_FORMAT(iq3_s);

#undef HOLDFAST_FORMAT

// IQ1_M scatters the half of its scale over four words.
bool iq1_m_overflows(const std::byte* block) noexcept;

// Encoders that measure what they lose, for the formats whose encoder is fast enough for decoding
// its blocks again to be felt.
#define HOLDFAST_MEASURED(name) \
  bool name##_encode_measured(const Strip& strip, std::byte* blocks, PlacedSums& sums) noexcept

HOLDFAST_MEASURED(f16);
HOLDFAST_MEASURED(q4_0);
HOLDFAST_MEASURED(q4_1);
HOLDFAST_MEASURED(q5_0);
HOLDFAST_MEASURED(q5_1);
HOLDFAST_MEASURED(q8_0);
HOLDFAST_MEASURED(q2_k);
HOLDFAST_MEASURED(q3_k);
HOLDFAST_MEASURED(q4_k);
HOLDFAST_MEASURED(q5_k);
HOLDFAST_MEASURED(q6_k);
HOLDFAST_MEASURED(tq1_0);
HOLDFAST_MEASURED(tq2_0);
HOLDFAST_MEASURED(mxfp4);
HOLDFAST_MEASURED(nvfp4);
HOLDFAST_MEASURED(q1_0);
HOLDFAST_MEASURED(q2_0);

#undef HOLDFAST_MEASURED

// The encoders above with importance weights, for the formats whose kernel is another one then.
void q4_0_encode_weighted(const Strip& strip, std::byte* blocks) noexcept;
void q4_1_encode_weighted(const Strip& strip, std::byte* blocks) noexcept;
void q5_0_encode_weighted(const Strip& strip, std::byte* blocks) noexcept;
void q5_1_encode_weighted(const Strip& strip, std::byte* blocks) noexcept;

}  // namespace holdfast::quantize
