// The rows behind pre_tokenizer.h. Expressions as they stand in the tokenizer.json files of the
// models that the names come from; names as in llama.cpp v0.5.0, src/llama-vocab.cpp.
#pragma once

#include <span>
#include <string_view>

namespace holdfast::convert {

struct PreTokenizerShape {
  std::string_view family;
  std::string_view shape;  // as pre_tokenizer_shape writes it
};

// The name that a family has for an architecture; the row with an empty architecture is for all
// others.
struct PreTokenizerName {
  std::string_view family;
  std::string_view architecture;
  std::string_view name;
};

struct PreTokenizerClass {
  std::string_view tokenizer_class;
  std::string_view family;
};

// GPT-2's expression, which ByteLevel applies by itself.
inline constexpr std::string_view kGpt2Split =
    R"(split 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Names that only the ids of the probe lead to, and the family that splits as they do.
struct PreTokenizerRelative {
  std::string_view family;
  std::string_view name;
};

std::span<const PreTokenizerShape> pre_tokenizer_shapes() noexcept;
std::span<const PreTokenizerRelative> pre_tokenizer_relatives() noexcept;
std::span<const PreTokenizerName> pre_tokenizer_names() noexcept;
std::span<const PreTokenizerClass> pre_tokenizer_classes() noexcept;

}  // namespace holdfast::convert
