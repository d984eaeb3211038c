// tokenizer.json as a table of tokens by id, or the older files (vocab.json, vocab.txt) that
// transformers would turn into one. Holds copies only. Errors: Corrupt naming file and field,
// LimitExceeded above kTokensMax, NotFound when there is neither.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/tokenizers/tokenizer_source.h"
#include "storage/base/json.h"

namespace holdfast::convert {

struct AddedToken {
  std::string content;
  bool special = false;
  bool normalized = false;
};

struct HubTokenizer {
  std::string file;                                // where the vocabulary stands
  std::string model_type;                          // BPE, WordPiece, Unigram, WordLevel
  std::vector<std::optional<std::string>> pieces;  // the model's own vocabulary by id
  std::uint64_t pieces_count = 0;                  // without the holes
  std::vector<float> scores;                       // Unigram only
  std::map<std::uint64_t, AddedToken> added;
  bool byte_fallback = false;
  bool ignore_merges = false;

  // Added tokens win over the model's vocabulary, with which they share most ids.
  const std::string* find(std::uint64_t id) const noexcept;
  // One more than the highest id.
  std::uint64_t ids_end() const noexcept;
};

HubTokenizer read_hub_tokenizer(const TokenizerSource& source);

// What decoding the single token `text` gives: the decoder of tokenizer.json applied to it.
// Control and user-defined tokens of a GGUF vocabulary stand decoded.
std::string decode_token(std::string_view text, const Json* decoder);

}  // namespace holdfast::convert
