#include <algorithm>

#include "convert/tokenizers/kinds.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

// Added tokens beyond the model's rows are ignored: there is no embedding for them.
Token* row_of(Vocabulary& vocabulary, std::uint64_t id) {
  return id < vocabulary.size() ? &vocabulary[id] : nullptr;
}

void overlay_added_tokens(const TokenizerSource& source, Vocabulary& vocabulary) {
  if (!source.added_tokens) return;
  for (const auto& [text, id] : source.added_tokens->as_object()) {
    Token* row = row_of(vocabulary, id.as_uint("added_tokens.json: " + text));
    if (row == nullptr) continue;
    *row = {.text = text, .score = kAddedScore, .type = TokenType::UserDefined};
  }
}

struct Added {
  std::string content;
  bool special = false;
};

Added parse_added(const Json& token, const std::string& where) {
  const std::optional<std::string> content = token_content(&token);
  if (!content) fail(ErrorKind::Corrupt, where + ".content: expected a string, found none");
  const Json* special = token.find("special");
  return {.content = *content,
          .special = special != nullptr && special->as_bool(where + ".special")};
}

void overlay_settings(const TokenizerSource& source, Overlay overlay, Vocabulary& vocabulary) {
  const std::string where = "tokenizer_config.json: added_tokens_decoder";
  const Json* decoder = source.setting("added_tokens_decoder");
  if (decoder == nullptr) return;
  for (const auto& [key, token] : decoder->as_object(where)) {
    const Added added = parse_added(token, std::string(where).append(".").append(key));
    Token* row = row_of(vocabulary, parse_token_id(key, where));
    if (row == nullptr) continue;
    const bool by_looks = overlay == Overlay::Settings;
    const bool control = added.special || (by_looks && looks_special(added.content));
    *row = {.text = control || !by_looks ? added.content : visible_spaces_to_spaces(added.content),
            .score = kAddedScore,
            .type = control ? TokenType::Control : TokenType::UserDefined};
  }
}

void overlay_tokenizer_json(const TokenizerSource& source, Vocabulary& vocabulary) {
  const std::string where = "tokenizer.json: added_tokens";
  const Json* list = source.tokenizer_json ? source.tokenizer_json->find("added_tokens") : nullptr;
  if (list == nullptr) return;
  for (const Json& token : list->as_array(where)) {
    const Added added = parse_added(token, where);
    const Json* id = token.find("id");
    if (id == nullptr) fail(ErrorKind::Corrupt, where + ".id: expected a number, found none");
    Token* row = row_of(vocabulary, id->as_uint(where + ".id"));
    if (row == nullptr) continue;
    *row = {.text = added.content,
            .score = kAddedScore,
            .type = added.special ? TokenType::Control : TokenType::UserDefined};
  }
}

}  // namespace

SentencePieceModel read_sentencepiece_model(const ModelFiles& files, std::string_view path) {
  if (!files.has(path)) {
    fail(ErrorKind::NotFound, std::string(path) + ": expected this file, found none");
  }
  return parse_sentencepiece_model(files.read_text(path), path);
}

Vocabulary sentencepiece_vocabulary(const TokenizerSource& source, const SentencePieceModel& model,
                                    std::uint64_t size, Overlay overlay) {
  Vocabulary vocabulary =
      padded_vocabulary(size == 0 ? model.pieces.size() : size, "config.json: vocab_size");
  std::copy_n(model.pieces.begin(), std::min(model.pieces.size(), vocabulary.size()),
              vocabulary.begin());
  overlay_added_tokens(source, vocabulary);
  if (overlay != Overlay::AddedTokens) overlay_settings(source, overlay, vocabulary);
  if (overlay == Overlay::SettingsAndJson) overlay_tokenizer_json(source, vocabulary);
  return vocabulary;
}

}  // namespace holdfast::convert
