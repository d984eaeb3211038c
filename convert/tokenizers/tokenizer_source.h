// What a checkpoint's folder offers about its tokenizer, each file parsed once.
// Borrows `files` and `config`; both must outlive it. Errors: Corrupt naming file and field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "convert/model_files.h"
#include "storage/base/json.h"

namespace holdfast::convert {

struct TokenizerSource {
  const ModelFiles& files;
  const Json& config;  // config.json
  std::optional<Json> tokenizer_json;
  std::optional<Json> tokenizer_config;
  std::optional<Json> added_tokens;  // added_tokens.json

  // Member `key` of tokenizer_config.json; nullptr when the file, the key or its value is absent.
  const Json* setting(std::string_view key) const noexcept;
};

TokenizerSource read_tokenizer_source(const ModelFiles& files, const Json& config);

// A JSON object in a file of the model, or nothing when there is no such file.
std::optional<Json> read_json_object(const ModelFiles& files, std::string_view path);

// The whole file, which must be UTF-8.
std::string read_utf8_text(const ModelFiles& files, std::string_view path);

// "17", a key of added_tokens_decoder. Throws Corrupt, naming `where`, for anything else.
std::uint64_t parse_token_id(std::string_view text, std::string_view where);

// The text of a special token as files spell it: "<s>" or {"content": "<s>", …}; else nothing.
std::optional<std::string> token_content(const Json* entry);

}  // namespace holdfast::convert
