// Which files make the vocabulary of which architecture, and what is written around it.
#pragma once

#include <string_view>

#include "convert/tokenizer.h"
#include "convert/tokenizers/writers.h"

namespace holdfast::convert {

// The writer for a class name of config.json, else for a GGUF architecture, else for `kind`.
TokenizerWriter find_tokenizer_writer(std::string_view hf_name, std::string_view architecture,
                                      VocabularyKind kind) noexcept;

}  // namespace holdfast::convert
