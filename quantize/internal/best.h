// The better encoder of the K and IQ4 formats: starts from the identical encoder's block and keeps
// the format's own structure, but looks at the error that decoding will make.
//
// Improvers read the identical blocks of a strip and overwrite those that they can better clearly
// (internal/best_gain-inl.h says what that is); all others stay as they are. The error is squared,
// weighted by importance where there is one.
#pragma once

#include <cstddef>

#include "quantize/format.h"

namespace holdfast::quantize {

// `strip` holds at most 2048 values; `blocks` are its blocks as the identical encoder wrote them.
using Improve = void (*)(const Strip& strip, std::byte* blocks);

void encode_best(Format format, Improve improve, const Strip& strip, std::byte* out) noexcept;

void q2_k_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void q3_k_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void q4_k_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void q5_k_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void q6_k_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void iq4_nl_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void iq4_xs_encode_best(const Strip& strip, std::byte* blocks) noexcept;

}  // namespace holdfast::quantize
