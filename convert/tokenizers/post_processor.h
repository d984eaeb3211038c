// Which special tokens a tokenizer.json puts around a prompt, read from its post_processor.
// Pure. Errors: Corrupt naming the field.
#pragma once

#include <string>
#include <vector>

#include "convert/tokenizers/special_tokens.h"
#include "storage/base/json.h"

namespace holdfast::convert {

// Notes in `special` what is added, and in `settings` (the members of tokenizer_config.json) the
// special tokens that only the template knows. `types` gains "eot" or "eom" when the template ends
// with another token than the configured end of text. Without tokenizer_config.json `settings` is
// empty and stays so.
void apply_post_processor(const Json& tokenizer_json, Json::Object& settings,
                          std::vector<std::string>& types, SpecialTokens& special);

}  // namespace holdfast::convert
