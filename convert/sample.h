// A small model that is nobody's: valid in every respect, useless in content, and the same bytes on
// every machine. What demonstrations and tests convert when no real model is at hand.
#pragma once

#include <filesystem>

namespace holdfast::convert {

// Writes config.json, generation_config.json, model.safetensors, tokenizer.json,
// tokenizer_config.json and README.md of a two-layer Llama with grouped-query attention and a
// byte-level BPE tokenizer. Creates the folder; replaces files of these names. Errors: Io, NoSpace.
void write_sample(const std::filesystem::path& directory);

}  // namespace holdfast::convert
