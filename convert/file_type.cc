#include "convert/file_type.h"

#include <algorithm>
#include <array>
#include <string>

#include "convert/text.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

using quantize::Format;

constexpr FileType converted(std::string_view name, std::uint32_t id, std::uint32_t format) {
  return {name, id, Format{format}, TypeRules::Converter};
}

constexpr FileType quantized(std::string_view name, std::uint32_t id, std::uint32_t format) {
  return {name, id, Format{format}, TypeRules::Quantizer};
}

// llama.cpp, include/llama.h (llama_ftype) and llama_ftype_get_default_type: name, id, ggml_type.
// The last three are the other program's way, for whoever compares.
constexpr std::array kFileTypes = {
    converted("F32", 0, 0),
    converted("F16", 1, 1),
    converted("BF16", 32, 30),
    converted("Q8_0", 7, 8),
    quantized("Q4_0", 2, 2),
    quantized("Q4_1", 3, 3),
    quantized("Q5_0", 8, 6),
    quantized("Q5_1", 9, 7),
    quantized("Q2_K", 10, 10),
    quantized("Q2_K_S", 21, 10),
    quantized("Q3_K_S", 11, 11),
    quantized("Q3_K_M", 12, 11),
    quantized("Q3_K_L", 13, 11),
    quantized("Q4_K_S", 14, 12),
    quantized("Q4_K_M", 15, 12),
    quantized("Q5_K_S", 16, 13),
    quantized("Q5_K_M", 17, 13),
    quantized("Q6_K", 18, 14),
    quantized("IQ1_S", 24, 19),
    quantized("IQ1_M", 31, 29),
    quantized("IQ2_XXS", 19, 16),
    quantized("IQ2_XS", 20, 17),
    quantized("IQ2_S", 28, 17),
    quantized("IQ2_M", 29, 22),
    quantized("IQ3_XXS", 23, 18),
    quantized("IQ3_XS", 22, 21),
    quantized("IQ3_S", 26, 21),
    quantized("IQ3_M", 27, 21),
    quantized("IQ4_NL", 25, 20),
    quantized("IQ4_XS", 30, 23),
    quantized("TQ1_0", 36, 34),
    quantized("TQ2_0", 37, 35),
    quantized("MXFP4_MOE", 38, 39),
    quantized("Q1_0", 40, 41),
    quantized("Q2_0", 41, 42),
    quantized("Q8_0_QUANTIZER", 7, 8),
    converted("TQ1_0_CONVERTER", 36, 34),
    converted("TQ2_0_CONVERTER", 37, 35),
};

// tools/quantize/quantize.cpp of llama.cpp accepts these too.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kShortNames = {
    {{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}}};

}  // namespace

std::span<const FileType> file_types() noexcept { return kFileTypes; }

const FileType& find_file_type(std::string_view name) {
  std::string_view full = name;
  for (const auto& [short_name, meant] : kShortNames) {
    if (equals_ignoring_case(short_name, name)) full = meant;
  }
  for (const FileType& type : kFileTypes) {
    if (equals_ignoring_case(type.name, full)) return type;
  }
  std::string known;
  for (const FileType& type : kFileTypes)
    known += (known.empty() ? "" : " ") + std::string(type.name);
  fail(ErrorKind::Invalid,
       "output type: \"" + std::string(name) + "\" is unknown; known: " + known);
}

}  // namespace holdfast::convert
