#include <algorithm>
#include <utility>

#include "convert/tokenizers/base64.h"
#include "convert/tokenizers/kinds.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

constexpr std::string_view kCharsmapWhere = "tokenizer.json: normalizer.precompiled_charsmap";

// A normalizer may be a Sequence with the Precompiled one in it.
const Json* find_charsmap(const Json& normalizer) {
  if (const Json* map = normalizer.find("precompiled_charsmap")) return map;
  const Json* parts = normalizer.find("normalizers");
  if (parts == nullptr) return nullptr;
  for (const Json& part : parts->as_array("tokenizer.json: normalizer.normalizers")) {
    if (const Json* map = find_charsmap(part)) return map;
  }
  return nullptr;
}

std::uint64_t unknown_id(const TokenizerSource& source, const HubTokenizer& tokenizer) {
  if (const auto text = token_content(source.setting("unk_token"))) {
    for (const auto& [id, added] : tokenizer.added) {
      if (added.content == *text) return id;
    }
  }
  const Json* id = source.tokenizer_json->find_path({"model", "unk_id"});
  return id == nullptr ? 3 : id->as_uint("tokenizer.json: model.unk_id");
}

TokenType type_of(std::uint64_t id, std::uint64_t unknown, const HubTokenizer& tokenizer) {
  if (id == unknown) return TokenType::Unknown;
  const auto added = tokenizer.added.find(id);
  if (added == tokenizer.added.end()) return TokenType::Normal;
  return added->second.special ? TokenType::Control : TokenType::UserDefined;
}

bool setting_or(const TokenizerSource& source, std::string_view key, bool otherwise) {
  const Json* value = source.setting(key);
  return value != nullptr && value->is_bool() ? value->as_bool() : otherwise;
}

}  // namespace

JsonUnigram read_json_unigram(const TokenizerSource& source, std::uint64_t size) {
  if (!source.tokenizer_json) {
    fail(ErrorKind::NotFound,
         "sentencepiece.bpe.model: expected this file or tokenizer.json, found neither");
  }
  const HubTokenizer tokenizer = read_hub_tokenizer(source);
  if (tokenizer.scores.empty()) {
    fail(ErrorKind::Unsupported,
         "tokenizer.json: model.type: expected Unigram, found " + tokenizer.model_type);
  }
  JsonUnigram unigram{
      .vocabulary = padded_vocabulary(std::max<std::uint64_t>(size, tokenizer.pieces_count),
                                      "config.json: vocab_size"),
      .add_dummy_prefix = setting_or(source, "add_prefix_space", true),
      .remove_extra_whitespaces = setting_or(source, "clean_up_tokenization_spaces", true)};
  const std::uint64_t unknown = unknown_id(source, tokenizer);
  for (std::uint64_t id = 0; id < tokenizer.pieces.size(); ++id) {
    unigram.vocabulary[id] = {.text = *tokenizer.find(id),
                              .score = tokenizer.scores[id],
                              .type = type_of(id, unknown, tokenizer)};
  }
  const Json* normalizer = source.tokenizer_json->find("normalizer");
  if (const Json* map = normalizer == nullptr ? nullptr : find_charsmap(*normalizer)) {
    unigram.precompiled_charsmap = decode_base64(map->as_string(kCharsmapWhere), kCharsmapWhere);
  }
  return unigram;
}

Vocabulary xlm_roberta_vocabulary(const SentencePieceModel& model, std::uint64_t size) {
  Vocabulary padded = padded_vocabulary(std::max<std::uint64_t>(size, model.pieces.size()),
                                        "config.json: vocab_size");
  std::ranges::copy(model.pieces, padded.begin());
  if (padded.size() < 4) {
    fail(ErrorKind::Corrupt, "sentencepiece.bpe.model: pieces: expected at least 4, found " +
                                 std::to_string(padded.size()));
  }
  // fairseq's order: four specials of its own, then the pieces from id 3 on, one place later.
  Vocabulary rows = {{.text = "<s>", .type = TokenType::Control},
                     {.text = "<pad>", .type = TokenType::Control},
                     {.text = "</s>", .type = TokenType::Control},
                     {.text = "<unk>", .type = TokenType::Unknown}};
  rows.insert(rows.end(), padded.begin() + 3, padded.end() - 1);
  return rows;
}

}  // namespace holdfast::convert
