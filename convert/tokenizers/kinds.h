// One function per kind of tokenizer: each fills the table of tokens from the files it needs.
// Errors: NotFound when its files are missing, otherwise as the file readers say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "convert/tokenizers/hub_tokenizer.h"
#include "convert/tokenizers/sentencepiece_model.h"
#include "convert/tokenizers/tokenizer_source.h"
#include "convert/tokenizers/vocabulary.h"

namespace holdfast::convert {

// What is laid over the pieces of a SentencePiece model.
enum class Overlay : std::uint8_t {
  AddedTokens,      // added_tokens.json only
  Settings,         // then tokenizer_config.json: added_tokens_decoder
  SettingsAndJson,  // then tokenizer.json: added_tokens; no token is taken for special by its looks
};

// Reads `path` as a SentencePiece model.
SentencePieceModel read_sentencepiece_model(const ModelFiles& files, std::string_view path);

// `size` rows (0 = as many as the model has pieces), the pieces, then the overlay.
Vocabulary sentencepiece_vocabulary(const TokenizerSource& source, const SentencePieceModel& model,
                                    std::uint64_t size, Overlay overlay);

// Whether tokenizer.json is a SentencePiece BPE in disguise: byte fallback and a decoder sequence.
bool is_sentencepiece_bpe(const TokenizerSource& source);

// Its vocabulary; such a file has merges but no scores.
Vocabulary sentencepiece_bpe_vocabulary(const TokenizerSource& source);

// Scores that make a runtime join pieces in the order of `merges` ("a b"): the earlier the higher.
void score_by_merges(const std::vector<std::string>& merges, Vocabulary& vocabulary);

// Byte-level BPE and WordPiece before its rewriting: model vocabulary, added tokens, padding.
// `size` 0 = as many as there are ids.
Vocabulary hub_vocabulary(const HubTokenizer& tokenizer, const TokenizerSource& source,
                          std::uint64_t size);

// "##ing" becomes "ing", "word" becomes U+2581 "word": how GGUF marks where words begin.
void mark_word_starts(Vocabulary& vocabulary);

// The Unigram model of a tokenizer.json, as XLM-RoBERTa has it.
struct JsonUnigram {
  Vocabulary vocabulary;
  std::string precompiled_charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
};

JsonUnigram read_json_unigram(const TokenizerSource& source, std::uint64_t size);

// The pieces of sentencepiece.bpe.model with the ids that XLM-RoBERTa gives them.
Vocabulary xlm_roberta_vocabulary(const SentencePieceModel& model, std::uint64_t size);

}  // namespace holdfast::convert
