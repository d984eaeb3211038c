#include "convert/tokenizers/tokenizer_source.h"

#include <charconv>

#include "convert/tokenizers/unicode.h"
#include "storage/base/error.h"

namespace holdfast::convert {

const Json* TokenizerSource::setting(std::string_view key) const noexcept {
  return tokenizer_config ? tokenizer_config->find(key) : nullptr;
}

std::optional<Json> read_json_object(const ModelFiles& files, std::string_view path) {
  if (!files.has(path)) return std::nullopt;
  Json value = parse_json(files.read_text(path), path);
  static_cast<void>(value.as_object(path));
  return value;
}

TokenizerSource read_tokenizer_source(const ModelFiles& files, const Json& config) {
  return {.files = files,
          .config = config,
          .tokenizer_json = read_json_object(files, "tokenizer.json"),
          .tokenizer_config = read_json_object(files, "tokenizer_config.json"),
          .added_tokens = read_json_object(files, "added_tokens.json")};
}

std::string read_utf8_text(const ModelFiles& files, std::string_view path) {
  std::string text = files.read_text(path);
  if (!is_utf8(text)) fail(ErrorKind::Corrupt, std::string(path) + ": expected UTF-8");
  return text;
}

std::uint64_t parse_token_id(std::string_view text, std::string_view where) {
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail(ErrorKind::Corrupt,
         std::string(where) + ": expected a token id, found \"" + std::string(text) + "\"");
  }
  return id;
}

std::optional<std::string> token_content(const Json* entry) {
  if (entry == nullptr) return std::nullopt;
  const Json* text = entry->is_object() ? entry->find("content") : entry;
  if (text == nullptr || !text->is_string()) return std::nullopt;
  return text->as_string();
}

}  // namespace holdfast::convert
