// Splits a text as the pre_tokenizer of a tokenizer.json does (Hugging Face tokenizers,
// "Pre-tokenizers"). Pure. Errors: as Regex; Corrupt naming the field.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/json.h"

namespace holdfast::convert {

// Words in order; those of a ByteLevel step in the byte alphabet. Nothing when a step is of a kind
// that is not implemented.
std::optional<std::vector<std::string>> split_words(std::string_view text,
                                                    const Json* pre_tokenizer);

}  // namespace holdfast::convert
