// The table of tokens that every kind of tokenizer fills and that becomes tokenizer.ggml.tokens,
// .scores and .token_type. Plain values, no locking. Errors: LimitExceeded above kTokensMax.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "convert/metadata.h"

namespace holdfast::convert {

// Twice the largest vocabulary published so far; a claim above it is hostile or a slip.
inline constexpr std::uint64_t kTokensMax = std::uint64_t{1} << 21;

// tokenizer.ggml.token_type (GGUF specification, "Special tokens").
enum class TokenType : std::int32_t {
  Normal = 1,
  Unknown = 2,
  Control = 3,
  UserDefined = 4,
  Unused = 5,
  Byte = 6,
};

struct Token {
  std::string text;
  float score = 0;
  TokenType type = TokenType::Normal;
};

using Vocabulary = std::vector<Token>;

// Score of a row that no tokenizer file filled, and of a token added on top of a base vocabulary.
inline constexpr float kPaddingScore = -10000.0F;
inline constexpr float kAddedScore = -1000.0F;

enum class Scores { Omitted, Written };

// "[PAD17]": the text of an embedding row that has no token.
std::string padding_text(std::uint64_t id);

// `size` unused rows. `where` names the field that claims this size.
Vocabulary padded_vocabulary(std::uint64_t size, std::string_view where);

// Throws LimitExceeded, naming `where`, if `size` is above kTokensMax.
void check_token_count(std::uint64_t size, std::string_view where);

// Throws LimitExceeded if `id` is not below kTokensMax.
void check_token_id(std::uint64_t id, std::string_view where);

// Tokens that publishers forget to mark as special: <|…|>, <｜…｜>, <unused…>, <pad>, <mask>, …
bool looks_special(std::string_view text);

// U+2581 LOWER ONE EIGHTH BLOCK, SentencePiece's visible space, becomes a space.
std::string visible_spaces_to_spaces(std::string_view text);

// Appends tokens, scores (if asked for) and types.
void write_vocabulary(const Vocabulary& vocabulary, Scores scores, Metadata& metadata);

// Sets tokenizer.ggml.model and tokenizer.ggml.pre.
void write_tokenizer_name(std::string_view model, std::string_view pre, Metadata& metadata);

// GGUF readers take an empty array or string for a missing one, so neither is ever written.
void set_unless_empty(Metadata& metadata, std::string key, std::string value);
void set_unless_empty(Metadata& metadata, std::string key, std::vector<std::string> value);

}  // namespace holdfast::convert
