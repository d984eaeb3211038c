// The probe by which GGUF files identify a BPE tokenizer: one fixed text is encoded, and the
// SHA-256 of the ids, written as "[1, 2, 3]", looked up among those of known models. Text, form and
// names are llama.cpp's (v0.5.0, convert_hf_to_gguf_update.py). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace holdfast::convert {

// The same in the Unicode normal forms C and D.
extern const std::string_view kPreTokenizerProbe;

// The SHA-256 of the ids, in hex.
std::string pre_tokenizer_hash(std::span<const std::uint64_t> ids);

// The name of the tokenizer whose ids have this hash; nothing for an unknown one.
std::optional<std::string_view> pre_tokenizer_name_of_hash(std::string_view hash) noexcept;

}  // namespace holdfast::convert
