// One function per way to write tokenizer.ggml.*: which files make the vocabulary, in which order
// the keys stand, what is written around them. tokenizer_rules.cc says which architecture has
// which. Errors: as the readers of the files say; NotFound when they are missing.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "convert/tokenizer.h"
#include "convert/tokenizers/hub_tokenizer.h"
#include "convert/tokenizers/special_tokens.h"
#include "convert/tokenizers/tokenizer_source.h"
#include "convert/tokenizers/vocabulary.h"

namespace holdfast::convert {

struct TokenizerJob {
  const TokenizerSource& source;
  const TokenizerOptions& options;
  std::uint64_t vocabulary_size = 0;  // 0 = as the tokenizer says
  Tokenizer& out;
};

using TokenizerWriter = void (*)(const TokenizerJob&);

// A special token that the files of a model do not name, by its text.
struct TokenRole {
  std::string_view type;
  std::string_view text;
};

// SentencePiece
void write_sentencepiece(const TokenizerJob& job);
void write_sentencepiece_or_byte_pairs(const TokenizerJob& job);
void write_llama(const TokenizerJob& job);  // SentencePiece, its BPE in tokenizer.json, byte pairs
void write_gemma(const TokenizerJob& job);
void write_gemma2(const TokenizerJob& job);
void write_gemma3(const TokenizerJob& job);
void write_gemma4(const TokenizerJob& job);
void write_phi3(const TokenizerJob& job);
// Byte pairs
void write_byte_pairs(const TokenizerJob& job);
void write_with_roles(const TokenizerJob& job, std::span<const TokenRole> roles);
void write_tekken(const TokenizerJob& job);  // Mistral's tekken.json
void write_kimi(const TokenizerJob& job);    // tiktoken.model, else byte pairs
// Encoders
void write_word_piece(const TokenizerJob& job);
void write_roberta(const TokenizerJob& job);
void write_modern_bert(const TokenizerJob& job);
void write_euro_bert(const TokenizerJob& job);
void write_jina_bert(const TokenizerJob& job);
void write_nomic_bert(const TokenizerJob& job);
void write_xlm_roberta(const TokenizerJob& job);
void write_t5(const TokenizerJob& job);

// Parts of the above.
inline constexpr std::string_view kSentencePieceFile = "tokenizer.model";
inline constexpr std::string_view kSpacePrefixKey = "tokenizer.ggml.add_space_prefix";

// tokenizer.ggml.pre: forced, else by the probe's ids, else by structure.
std::string pre_tokenizer_name_of(const TokenizerJob& job, const HubTokenizer& tokenizer,
                                  const std::vector<std::string>& merges);
void put_vocabulary(const TokenizerJob& job, const Vocabulary& vocabulary, Scores scores);
void put_special(const TokenizerJob& job, const SpecialTokens& special);

}  // namespace holdfast::convert
