// Normalizers of tokenizer.json, as far as their effect on the pre-tokenizer probe goes. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/base/json.h"

namespace holdfast::convert {

// `text` must be in the Unicode normal forms C and D and its letters Latin, Cyrillic or caseless.
// Nothing when the normalizer is of a kind that is not implemented.
std::optional<std::string> normalize_probe(std::string text, const Json* normalizer);

}  // namespace holdfast::convert
