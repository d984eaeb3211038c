#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "convert/tokenizers/kinds.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

constexpr std::string_view kVisibleSpace = "\xE2\x96\x81";  // U+2581

// Contents of bos_token, eos_token, … and additional_special_tokens. LlamaTokenizer has the first
// three without being told.
std::set<std::string> special_contents(const TokenizerSource& source) {
  std::set<std::string> contents;
  const Json* tokenizer_class = source.setting("tokenizer_class");
  if (tokenizer_class != nullptr && tokenizer_class->is_string() &&
      tokenizer_class->as_string().starts_with("LlamaTokenizer")) {
    contents = {"<s>", "</s>", "<unk>"};
  }
  for (const char* type : {"bos", "eos", "unk", "sep", "pad", "cls", "mask"}) {
    if (auto text = token_content(source.setting(std::string(type) + "_token"))) {
      contents.insert(*std::move(text));
    }
  }
  const Json* more = source.setting("additional_special_tokens");
  if (more == nullptr || !more->is_array()) return contents;
  for (const Json& token : more->as_array()) {
    if (auto text = token_content(&token)) contents.insert(*std::move(text));
  }
  return contents;
}

bool is_byte_token(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>') &&
         text.find_first_not_of("0123456789abcdefABCDEF", 3) == 5;
}

Token added_token_row(const AddedToken& added, const Json* decoder) {
  std::string text = added.normalized ? added.content : decode_token(added.content, decoder);
  if (added.special || looks_special(text)) {
    return {.text = std::move(text), .type = TokenType::Control};
  }
  return {.text = visible_spaces_to_spaces(text), .type = TokenType::UserDefined};
}

// Rows of the model's own vocabulary, which must be without holes.
Vocabulary base_rows(const HubTokenizer& tokenizer) {
  Vocabulary rows(tokenizer.pieces.size());
  for (std::uint64_t id = 0; id < rows.size(); ++id) {
    if (!tokenizer.pieces[id]) {
      fail(ErrorKind::Corrupt, tokenizer.file + ": model.vocab: expected a token with id " +
                                   std::to_string(id) + ", found none");
    }
    rows[id].text = *tokenizer.pieces[id];
  }
  return rows;
}

}  // namespace

bool is_sentencepiece_bpe(const TokenizerSource& source) {
  if (!source.tokenizer_json) return false;
  const auto is_text = [&](std::initializer_list<std::string_view> path, std::string_view text) {
    const Json* value = source.tokenizer_json->find_path(path);
    return value != nullptr && value->is_string() && value->as_string() == text;
  };
  const Json* fallback = source.tokenizer_json->find_path({"model", "byte_fallback"});
  return is_text({"model", "type"}, "BPE") && is_text({"decoder", "type"}, "Sequence") &&
         fallback != nullptr && fallback->is_bool() && fallback->as_bool();
}

Vocabulary sentencepiece_bpe_vocabulary(const TokenizerSource& source) {
  const HubTokenizer tokenizer = read_hub_tokenizer(source);
  const std::set<std::string> specials = special_contents(source);
  Vocabulary rows = base_rows(tokenizer);
  for (const auto& [id, added] : tokenizer.added) {
    if (id < tokenizer.pieces.size()) continue;
    if (id != rows.size()) {
      fail(ErrorKind::Corrupt, "tokenizer.json: added_tokens: expected id " +
                                   std::to_string(rows.size()) + " next, found " +
                                   std::to_string(id));
    }
    rows.push_back({.text = added.content, .type = TokenType::UserDefined});
  }
  for (Token& row : rows) {
    row.score = kAddedScore;
    if (specials.contains(row.text)) row.type = TokenType::Control;
    if (is_byte_token(row.text)) row.type = TokenType::Byte;
  }
  return rows;
}

void score_by_merges(const std::vector<std::string>& merges, Vocabulary& vocabulary) {
  std::unordered_map<std::string, std::size_t> ranks;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    std::string joined = merges[rank];
    joined.erase(std::min(joined.find(' '), joined.size()), 1);
    ranks.emplace(std::move(joined), rank);
  }
  for (Token& token : vocabulary) {
    const auto found = ranks.find(token.text);
    // What no merge makes comes last.
    token.score = 0.0F - static_cast<float>(found == ranks.end() ? merges.size() : found->second);
  }
}

Vocabulary hub_vocabulary(const HubTokenizer& tokenizer, const TokenizerSource& source,
                          std::uint64_t size) {
  const Json* decoder = source.tokenizer_json ? source.tokenizer_json->find("decoder") : nullptr;
  if (size == 0) size = tokenizer.ids_end();
  if (tokenizer.ids_end() > size) {
    fail(ErrorKind::Corrupt, tokenizer.file + ": expected ids below vocab_size (" +
                                 std::to_string(size) + ") of config.json, found " +
                                 std::to_string(tokenizer.ids_end() - 1));
  }
  Vocabulary rows = padded_vocabulary(size, "config.json: vocab_size");
  for (std::uint64_t id = 0; id < tokenizer.pieces.size(); ++id) {
    if (tokenizer.pieces[id]) rows[id] = {.text = *tokenizer.pieces[id]};
  }
  for (const auto& [id, added] : tokenizer.added) rows[id] = added_token_row(added, decoder);
  return rows;
}

void mark_word_starts(Vocabulary& vocabulary) {
  for (Token& token : vocabulary) {
    if (token.type == TokenType::Control) continue;
    if (token.text.starts_with("##")) {
      token.text.erase(0, 2);
    } else {
      token.text.insert(0, kVisibleSpace);
    }
  }
}

}  // namespace holdfast::convert
