// The better encoder of the K and IQ4 formats: starts from the identical encoder's block and keeps
// the format's own structure, but looks at the error that decoding will make.
//
// Improvers read the identical blocks of a strip and write candidates. They decide with float32
// sums and may be wrong by a rounding; encode_best then compares both blocks as decoded, in double,
// and keeps the identical one unless the candidate is strictly better. The error is squared,
// weighted by importance where there is one.
#pragma once

#include <cstddef>

#include "quantize/format.h"

namespace holdfast::quantize {

using Improve = void (*)(const Strip& strip, const std::byte* identical, std::byte* candidates);

void encode_best(Format format, Improve improve, const Strip& strip, std::byte* out) noexcept;

void q2_k_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void q3_k_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void q4_k_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void q5_k_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void q6_k_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void iq4_nl_encode_best(const Strip& strip, std::byte* blocks) noexcept;
void iq4_xs_encode_best(const Strip& strip, std::byte* blocks) noexcept;

}  // namespace holdfast::quantize
