// Special token ids, which of them are added to a prompt, merges, normalizer flags and chat
// templates: what tokenizer.json, tokenizer_config.json and config.json say together.
// A value type. Errors: Corrupt naming file and field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convert/metadata.h"
#include "convert/tokenizers/tokenizer_source.h"

namespace holdfast::convert {

struct NamedTemplate {
  std::string name;
  std::string text;
};

struct SpecialTokens {
  std::vector<std::string> merges;                         // "a b"
  std::vector<std::pair<std::string, std::uint64_t>> ids;  // "bos" → id, in order of discovery
  std::vector<std::pair<std::string, bool>> added;         // "bos" → is added to a prompt
  std::vector<NamedTemplate> templates;                    // one without a name, or named ones
  std::optional<bool> lowercase;
  std::optional<bool> strip_accents;

  const std::uint64_t* find_id(std::string_view type) const noexcept;
  // The first to set an id wins; ids from `tokens_max` on are ignored.
  void set_id(std::string_view type, std::uint64_t id, std::uint64_t tokens_max = UINT64_MAX);
  void set_added(std::string_view type, bool value);
  // Appends the keys that GGUF has a name for; the first two are parts of the last.
  void write_ids(Metadata& metadata) const;
  void write_added(Metadata& metadata) const;
  void write(Metadata& metadata) const;
};

enum class Merges { Ignored, Loaded };

// Ids at or above `tokens` are ignored. Types looked for: bos eos unk sep pad cls mask, and eot or
// eom when a template contradicts the configured end of text.
SpecialTokens read_special_tokens(const TokenizerSource& source, Merges merges,
                                  std::uint64_t tokens = UINT64_MAX);

}  // namespace holdfast::convert
