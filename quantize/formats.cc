// The table's rows; nothing else.
#include <algorithm>
#include <array>

#include "quantize/format.h"
#include "quantize/internal/best.h"
#include "quantize/internal/families.h"

namespace holdfast::quantize {
namespace {

#define FUNCTIONS(name) \
  name##_encode, name##_encode_reference, name##_decode, name##_decode_reference
// What not every format has: overflows, encode_best, encode_measured, source_type.
#define MEASURED(name) nullptr, nullptr, name##_encode_measured
#define SAME(type) nullptr, nullptr, nullptr, SourceType::type
#define BETTER(name) nullptr, name##_encode_best, name##_encode_measured

constexpr auto kIgnored = Importance::Ignored;
constexpr auto kOptional = Importance::Optional;
constexpr auto kRequired = Importance::Required;

constexpr Scales kNone{};
constexpr Scales kExponent{0, 1, 0x00ff};  // a byte, in front

constexpr Scales half(std::uint32_t offset) { return {offset, 1, 0x7c00}; }

constexpr Scales two_halves(std::uint32_t offset) { return {offset, 2, 0x7c00}; }

// Or the upper word of a float32.
constexpr Scales bfloat(std::uint32_t offset) { return {offset, 1, 0x7f80}; }

// clang-format off
constexpr FormatInfo kFormats[] = {
    // format, name, values, bytes, importance, row mean, functions, scales, error, others
    {Format::F32,  "F32",   1,  4, kIgnored,  false, FUNCTIONS(f32),  bfloat(2), 0, SAME(F32)},
    {Format::F16,  "F16",   1,  2, kIgnored,  false, FUNCTIONS(f16),  half(0), 0.0003, MEASURED(f16), SourceType::F16},
    {Format::Q4_0, "Q4_0", 32, 18, kOptional, true,  FUNCTIONS(q4_0), half(0), 0.11, MEASURED(q4_0)},
    {Format::Q4_1, "Q4_1", 32, 20, kOptional, true,  FUNCTIONS(q4_1), two_halves(0), 0.1, MEASURED(q4_1)},
    {Format::Q5_0, "Q5_0", 32, 22, kOptional, true,  FUNCTIONS(q5_0), half(0), 0.055, MEASURED(q5_0)},
    {Format::Q5_1, "Q5_1", 32, 24, kOptional, true,  FUNCTIONS(q5_1), two_halves(0), 0.048, MEASURED(q5_1)},
    {Format::Q8_0, "Q8_0", 32, 34, kIgnored,  false, FUNCTIONS(q8_0), half(0), 0.007, MEASURED(q8_0)},
    {Format::Q2_K, "Q2_K", 256, 84, kOptional, false, FUNCTIONS(q2_k), two_halves(80), 0.32, BETTER(q2_k)},
    {Format::Q3_K, "Q3_K", 256, 110, kOptional, false, FUNCTIONS(q3_k), half(108), 0.2, BETTER(q3_k)},
    {Format::Q4_K, "Q4_K", 256, 144, kOptional, false, FUNCTIONS(q4_k), two_halves(0), 0.08, BETTER(q4_k)},
    {Format::Q5_K, "Q5_K", 256, 176, kOptional, false, FUNCTIONS(q5_k), two_halves(0), 0.04, BETTER(q5_k)},
    {Format::Q6_K, "Q6_K", 256, 210, kOptional, false, FUNCTIONS(q6_k), half(208), 0.02, BETTER(q6_k)},
    {Format::IQ2_XXS, "IQ2_XXS", 256, 66, kRequired, false, FUNCTIONS(iq2_xxs), half(0), 0.48},
    {Format::IQ2_XS, "IQ2_XS", 256, 74, kRequired, false, FUNCTIONS(iq2_xs), half(0), 0.4},
    {Format::IQ3_XXS, "IQ3_XXS", 256, 98, kOptional, false, FUNCTIONS(iq3_xxs), half(0), 0.24},
    {Format::IQ1_S, "IQ1_S", 256, 50, kRequired, false, FUNCTIONS(iq1_s), half(0), 0.67},
    {Format::IQ4_NL, "IQ4_NL", 32, 18, kOptional, false, FUNCTIONS(iq4_nl), half(0), 0.09, nullptr, iq4_nl_encode_best},
    {Format::IQ3_S, "IQ3_S", 256, 110, kOptional, false, FUNCTIONS(iq3_s), half(0), 0.185},
    {Format::IQ2_S, "IQ2_S", 256, 82, kOptional, false, FUNCTIONS(iq2_s), half(0), 0.34},
    {Format::IQ4_XS, "IQ4_XS", 256, 136, kOptional, false, FUNCTIONS(iq4_xs), half(0), 0.09, nullptr, iq4_xs_encode_best},
    {Format::IQ1_M, "IQ1_M", 256, 56, kOptional, false, FUNCTIONS(iq1_m), kNone, 0.59, iq1_m_overflows},
    {Format::BF16, "BF16", 1, 2, kIgnored, false, FUNCTIONS(bf16), bfloat(0), 0.0024, SAME(BF16)},
    {Format::TQ1_0, "TQ1_0", 256, 54, kIgnored, false, FUNCTIONS(tq1_0), half(52), 1.0, MEASURED(tq1_0)},
    {Format::TQ2_0, "TQ2_0", 256, 66, kIgnored, false, FUNCTIONS(tq2_0), half(64), 1.0, MEASURED(tq2_0)},
    {Format::MXFP4, "MXFP4", 32, 17, kIgnored, false, FUNCTIONS(mxfp4), kExponent, 0.13, MEASURED(mxfp4)},
    {Format::NVFP4, "NVFP4", 64, 36, kIgnored, false, FUNCTIONS(nvfp4), kNone, 0.12, MEASURED(nvfp4)},
    {Format::Q1_0, "Q1_0", 128, 18, kIgnored, false, FUNCTIONS(q1_0), half(0), 0.7, MEASURED(q1_0)},
    {Format::Q2_0, "Q2_0", 64, 18, kIgnored, false, FUNCTIONS(q2_0), half(0), 1.0, MEASURED(q2_0)},
};
// clang-format on
#undef BETTER
#undef SAME
#undef MEASURED
#undef FUNCTIONS

constexpr std::size_t kIdLimit = 64;

// Position in kFormats by ggml_type id.
constexpr auto kPositions = [] {
  std::array<std::uint8_t, kIdLimit> positions{};
  for (std::size_t i = 0; i < std::size(kFormats); ++i) {
    positions[static_cast<std::size_t>(kFormats[i].format)] = static_cast<std::uint8_t>(i);
  }
  return positions;
}();

constexpr char upper(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

}  // namespace

const FormatInfo& info(Format format) noexcept {
  return kFormats[kPositions[static_cast<std::size_t>(format) % kIdLimit]];
}

std::span<const FormatInfo> formats() noexcept { return kFormats; }

std::optional<Format> parse_format(std::string_view name) noexcept {
  for (const FormatInfo& row : kFormats) {
    if (std::ranges::equal(name, row.name, {}, upper, upper)) return row.format;
  }
  return std::nullopt;
}

}  // namespace holdfast::quantize
