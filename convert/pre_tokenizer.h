// Names for tokenizer.ggml.pre: which of the text splitters that llama.cpp knows by name does the
// pre_tokenizer of a tokenizer.json describe? Found by comparing structure, so that tokens added by
// a fine-tune change nothing.
// Pure functions over constant tables. Errors: Unsupported naming the unknown structure, Corrupt
// naming the field.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/base/json.h"

namespace holdfast::convert {

// One line per splitting step, such as "split [0-9]" or "digits". Steps that only map bytes to
// symbols do not count; ways of writing the same step are one.
std::string pre_tokenizer_shape(const Json& tokenizer_json);

// `by_ids` is the name that the ids of the probe gave, if they are known. It wins among the names
// of its family; a tokenizer that splits differently and still encodes the probe alike is not the
// same. `architecture` is the GGUF name; it decides where the ids are unknown.
std::string pre_tokenizer_name(const Json& tokenizer_json, std::string_view architecture,
                               std::optional<std::string_view> by_ids = std::nullopt);

// For checkpoints that have vocab.json and merges.txt only: the class in tokenizer_config.json.
std::string pre_tokenizer_name_of_class(std::string_view tokenizer_class,
                                        std::string_view architecture);

}  // namespace holdfast::convert
