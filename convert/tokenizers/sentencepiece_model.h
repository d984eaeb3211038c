// A SentencePiece model file (tokenizer.model, spiece.model, sentencepiece.bpe.model): the fields
// that a GGUF vocabulary needs, read from its protobuf bytes without a protobuf library.
// Field numbers: google/sentencepiece, src/sentencepiece_model.proto.
// A value type. Errors: Corrupt naming file, field and offset; LimitExceeded above kTokensMax.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "convert/tokenizers/vocabulary.h"

namespace holdfast::convert {

enum class SentencePieceAlgorithm : std::uint32_t { Unigram = 1, Bpe = 2, Word = 3, Char = 4 };

struct SentencePieceModel {
  std::vector<Token> pieces;  // in id order
  SentencePieceAlgorithm algorithm = SentencePieceAlgorithm::Unigram;
  std::string precompiled_charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
};

SentencePieceModel parse_sentencepiece_model(std::string_view bytes, std::string_view file);

}  // namespace holdfast::convert
