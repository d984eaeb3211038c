// The tokenizer of a checkpoint as GGUF metadata: tokenizer.ggml.* and the chat template.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/metadata.h"
#include "convert/model_files.h"
#include "storage/base/json.h"

namespace holdfast::convert {

// How an architecture wants its vocabulary written; the architecture's table says so.
enum class VocabularyKind {
  Auto,  // SentencePiece when tokenizer.model is there, else the BPE of tokenizer.json
  SentencePiece,
  BytePairs,  // byte-level BPE ("gpt2")
  WordPiece,  // "bert"
  Unigram,    // "t5"
};

struct TokenizerOptions {
  VocabularyKind kind = VocabularyKind::Auto;
  std::string_view architecture;      // GGUF name, tie-break between pre-tokenizers of one family
  std::uint64_t vocabulary_size = 0;  // of config.json; 0 = as the tokenizer says
  std::optional<std::string> forced_pre;  // tokenizer.ggml.pre to use instead of detection
  // A SentencePiece BPE that is there as tokenizer.json only has merges and no scores, without
  // which the runtime joins pieces in another order. The peer writes the same score for all of
  // them; this makes scores of the order of the merges.
  bool scores_from_merges = false;
};

struct Tokenizer {
  Metadata metadata;  // in the peer's order
  std::uint64_t tokens = 0;
};

// Reads tokenizer.model, tokenizer.json, tokenizer_config.json, added_tokens.json, vocab.txt,
// special_tokens_map.json, chat_template.jinja … as far as they exist. Throws Error(Corrupt) naming
// file and field, Error(Unsupported) for a tokenizer kind or pre-tokenizer that is not known,
// Error(NotFound) when there is none.
Tokenizer read_tokenizer(const ModelFiles& files, const Json& config,
                         const TokenizerOptions& options);

}  // namespace holdfast::convert
