// How a sentence-embedding model makes one vector of many: modules.json and the config.json of its
// Pooling module (sentence-transformers).
#pragma once

#include <cstdint>
#include <optional>

#include "convert/model_files.h"

namespace holdfast::convert {

// llama_pooling_type of llama.cpp: 1 mean, 2 first token ("cls"), 3 last token. Nothing when the
// model says nothing. Errors: Corrupt naming file and field; Unsupported for another way.
std::optional<std::uint32_t> read_pooling(const ModelFiles& files);

}  // namespace holdfast::convert
