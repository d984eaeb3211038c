#include "convert/tokenizers/hub_tokenizer.h"

#include <algorithm>
#include <sstream>

#include "convert/tokenizers/vocabulary.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

std::uint64_t token_id(const Json& value, const std::string& where) {
  const std::uint64_t id = value.as_uint(where);
  check_token_id(id, where);
  return id;
}

void add_piece(HubTokenizer& tokenizer, std::uint64_t id, const std::string& text) {
  if (id >= tokenizer.pieces.size()) tokenizer.pieces.resize(id + 1);
  std::optional<std::string>& slot = tokenizer.pieces[id];
  if (slot) {
    fail(ErrorKind::Corrupt, tokenizer.file + ": id " + std::to_string(id) +
                                 ": expected one token, found \"" + *slot + "\" and \"" + text +
                                 "\"");
  }
  slot = text;
  ++tokenizer.pieces_count;
}

void read_piece_map(const Json& vocabulary, HubTokenizer& tokenizer, const std::string& where) {
  for (const auto& [text, id] : vocabulary.as_object(where)) {
    add_piece(tokenizer, token_id(id, std::string(where).append(".").append(text)), text);
  }
}

// Unigram: [["piece", score], …] in id order.
void read_piece_list(const Json& vocabulary, HubTokenizer& tokenizer, const std::string& where) {
  for (const Json& entry : vocabulary.as_array(where)) {
    const std::string place = where + "[" + std::to_string(tokenizer.pieces.size()) + "]";
    const Json::Array& pair = entry.as_array(place);
    if (pair.size() != 2) {
      fail(ErrorKind::Corrupt, place + ": expected a piece and a score, found " +
                                   std::to_string(pair.size()) + " values");
    }
    check_token_count(tokenizer.pieces.size() + 1, where);
    add_piece(tokenizer, tokenizer.pieces.size(), pair[0].as_string(place));
    tokenizer.scores.push_back(static_cast<float>(pair[1].as_double(place)));
  }
}

bool flag(const Json& object, std::string_view key, bool otherwise, const std::string& where) {
  const Json* value = object.find(key);
  return value == nullptr ? otherwise : value->as_bool(where + "." + std::string(key));
}

AddedToken parse_added_token(const Json& token, const std::string& where) {
  const std::optional<std::string> content = token_content(&token);
  if (!content) fail(ErrorKind::Corrupt, where + ".content: expected a string, found none");
  const bool special = flag(token, "special", false, where);
  return {.content = *content,
          .special = special,
          .normalized = flag(token, "normalized", !special, where)};
}

void add_token(HubTokenizer& tokenizer, std::uint64_t id, AddedToken token,
               const std::string& where) {
  const std::string* piece =
      id < tokenizer.pieces.size() && tokenizer.pieces[id] ? &*tokenizer.pieces[id] : nullptr;
  if (piece != nullptr && *piece != token.content) {
    fail(ErrorKind::Corrupt, where + ": id " + std::to_string(id) + ": expected \"" + *piece +
                                 "\" as in the vocabulary, found \"" + token.content + "\"");
  }
  tokenizer.added.insert_or_assign(id, std::move(token));
}

void read_added_tokens(const Json& tokenizer_json, HubTokenizer& tokenizer) {
  const Json* list = tokenizer_json.find("added_tokens");
  if (list == nullptr) return;
  std::size_t index = 0;
  for (const Json& token : list->as_array("tokenizer.json: added_tokens")) {
    const std::string where = "tokenizer.json: added_tokens[" + std::to_string(index++) + "]";
    const Json* id = token.find("id");
    if (id == nullptr) fail(ErrorKind::Corrupt, where + ".id: expected a number, found none");
    add_token(tokenizer, token_id(*id, where + ".id"), parse_added_token(token, where), where);
  }
}

// tokenizer_config.json repeats the added tokens of tokenizer.json and may add more. Where both
// have a token, transformers takes the flags from here; where they disagree about an id's text,
// tokenizer.json is what encodes.
void read_added_tokens_decoder(const TokenizerSource& source, HubTokenizer& tokenizer) {
  const std::string where = "tokenizer_config.json: added_tokens_decoder";
  const Json* decoder = source.setting("added_tokens_decoder");
  if (decoder == nullptr) return;
  for (const auto& [key, token] : decoder->as_object(where)) {
    const std::uint64_t id = parse_token_id(key, where);
    check_token_id(id, where);
    AddedToken parsed = parse_added_token(token, std::string(where).append(".").append(key));
    const std::string* known = tokenizer.find(id);
    if (known == nullptr || *known == parsed.content) {
      tokenizer.added.insert_or_assign(id, std::move(parsed));
    }
  }
}

HubTokenizer from_tokenizer_json(const TokenizerSource& source) {
  const std::string where = "tokenizer.json: model";
  const Json* model = source.tokenizer_json->find("model");
  const Json* vocabulary = model == nullptr ? nullptr : model->find("vocab");
  if (vocabulary == nullptr) {
    fail(ErrorKind::Corrupt, where + ".vocab: expected the vocabulary, found none");
  }
  const Json* type = model->find("type");
  HubTokenizer tokenizer{.file = "tokenizer.json",
                         .model_type = type == nullptr ? "BPE" : type->as_string(where + ".type"),
                         .byte_fallback = flag(*model, "byte_fallback", false, where),
                         .ignore_merges = flag(*model, "ignore_merges", false, where)};
  if (vocabulary->is_array()) {
    read_piece_list(*vocabulary, tokenizer, where + ".vocab");
  } else {
    read_piece_map(*vocabulary, tokenizer, where + ".vocab");
  }
  read_added_tokens(*source.tokenizer_json, tokenizer);
  return tokenizer;
}

HubTokenizer from_vocab_json(const TokenizerSource& source) {
  HubTokenizer tokenizer{.file = "vocab.json", .model_type = "BPE"};
  read_piece_map(*read_json_object(source.files, "vocab.json"), tokenizer, "vocab.json");
  if (!source.added_tokens) return tokenizer;
  for (const auto& [text, id] : source.added_tokens->as_object()) {
    const std::string where = "added_tokens.json: " + text;
    add_token(tokenizer, token_id(id, where), {.content = text, .special = true}, where);
  }
  return tokenizer;
}

constexpr std::string_view kBertSpecials[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

// One WordPiece a line, its number the id (google-research/bert).
HubTokenizer from_vocab_txt(const TokenizerSource& source) {
  HubTokenizer tokenizer{.file = "vocab.txt", .model_type = "WordPiece"};
  std::istringstream lines(read_utf8_text(source.files, "vocab.txt"));
  std::string line;
  while (std::getline(lines, line)) {
    if (line.ends_with('\r')) line.pop_back();
    check_token_count(tokenizer.pieces.size() + 1, "vocab.txt");
    add_piece(tokenizer, tokenizer.pieces.size(), line);
  }
  for (std::uint64_t id = 0; id < tokenizer.pieces.size(); ++id) {
    const std::string& piece = *tokenizer.pieces[id];
    if (std::ranges::find(kBertSpecials, piece) == std::end(kBertSpecials)) continue;
    tokenizer.added.insert_or_assign(id, AddedToken{.content = piece, .special = true});
  }
  return tokenizer;
}

HubTokenizer read_vocabulary_files(const TokenizerSource& source) {
  if (source.tokenizer_json) return from_tokenizer_json(source);
  if (source.files.has("vocab.json")) return from_vocab_json(source);
  if (source.files.has("vocab.txt")) return from_vocab_txt(source);
  fail(ErrorKind::NotFound,
       "tokenizer.json: expected this file, vocab.json or vocab.txt, found none of them");
}

}  // namespace

const std::string* HubTokenizer::find(std::uint64_t id) const noexcept {
  if (const auto token = added.find(id); token != added.end()) return &token->second.content;
  return id < pieces.size() && pieces[id] ? &*pieces[id] : nullptr;
}

std::uint64_t HubTokenizer::ids_end() const noexcept {
  const std::uint64_t added_end = added.empty() ? 0 : added.rbegin()->first + 1;
  return std::max<std::uint64_t>(pieces.size(), added_end);
}

HubTokenizer read_hub_tokenizer(const TokenizerSource& source) {
  HubTokenizer tokenizer = read_vocabulary_files(source);
  read_added_tokens_decoder(source, tokenizer);
  return tokenizer;
}

}  // namespace holdfast::convert
