#include "convert/tokenizers/vocabulary.h"

#include <utility>

#include "storage/base/error.h"

namespace holdfast::convert {

namespace {
constexpr std::string_view kVisibleSpace = "\xE2\x96\x81";  // U+2581
constexpr std::string_view kForgottenSpecials[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};

bool is_wrapped(std::string_view text, std::string_view head, std::string_view tail) {
  return text.starts_with(head) && text.ends_with(tail);
}
}  // namespace

std::string padding_text(std::uint64_t id) { return "[PAD" + std::to_string(id) + "]"; }

void check_token_count(std::uint64_t size, std::string_view where) {
  if (size > kTokensMax) {
    fail(ErrorKind::LimitExceeded, std::string(where) + ": expected at most " +
                                       std::to_string(kTokensMax) + " tokens, found " +
                                       std::to_string(size));
  }
}

void check_token_id(std::uint64_t id, std::string_view where) {
  if (id >= kTokensMax) {
    fail(ErrorKind::LimitExceeded, std::string(where) + ": expected an id below " +
                                       std::to_string(kTokensMax) + ", found " +
                                       std::to_string(id));
  }
}

Vocabulary padded_vocabulary(std::uint64_t size, std::string_view where) {
  check_token_count(size, where);
  Vocabulary rows(size);
  for (std::uint64_t id = 0; id < size; ++id) {
    rows[id] = {.text = padding_text(id), .score = kPaddingScore, .type = TokenType::Unused};
  }
  return rows;
}

bool looks_special(std::string_view text) {
  for (const std::string_view special : kForgottenSpecials) {
    if (text == special) return true;
  }
  // The second pair are the full-width bars U+FF5C of the DeepSeek family.
  return is_wrapped(text, "<|", "|>") || is_wrapped(text, "<\xEF\xBD\x9C", "\xEF\xBD\x9C>") ||
         is_wrapped(text, "<unused", ">");
}

std::string visible_spaces_to_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with(kVisibleSpace)) {
      out += ' ';
      at += kVisibleSpace.size();
    } else {
      out += text[at++];
    }
  }
  return out;
}

void write_vocabulary(const Vocabulary& vocabulary, Scores scores, Metadata& metadata) {
  std::vector<std::string> texts;
  std::vector<float> numbers;
  std::vector<std::int32_t> types;
  texts.reserve(vocabulary.size());
  numbers.reserve(vocabulary.size());
  types.reserve(vocabulary.size());
  for (const Token& token : vocabulary) {
    texts.push_back(token.text);
    numbers.push_back(token.score);
    types.push_back(static_cast<std::int32_t>(token.type));
  }
  metadata.set("tokenizer.ggml.tokens", std::move(texts));
  if (scores == Scores::Written) metadata.set("tokenizer.ggml.scores", std::move(numbers));
  metadata.set("tokenizer.ggml.token_type", std::move(types));
}

void write_tokenizer_name(std::string_view model, std::string_view pre, Metadata& metadata) {
  metadata.set("tokenizer.ggml.model", std::string(model));
  metadata.set("tokenizer.ggml.pre", std::string(pre));
}

void set_unless_empty(Metadata& metadata, std::string key, std::string value) {
  if (!value.empty()) metadata.set(std::move(key), std::move(value));
}

void set_unless_empty(Metadata& metadata, std::string key, std::vector<std::string> value) {
  if (!value.empty()) metadata.set(std::move(key), std::move(value));
}

}  // namespace holdfast::convert
