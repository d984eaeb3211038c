// Byte-pair tokenizers that come as a list of byte strings by rank, without merges: tiktoken files
// and Mistral's tekken.json. Values. Errors: Corrupt naming file and field; LimitExceeded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/base/json.h"

namespace holdfast::convert {

// Tokens as bytes; the index is the rank. Without repetitions.
using RankTable = std::vector<std::string>;

// "base64 rank" a line, ranks from 0 without holes.
RankTable parse_tiktoken(std::string_view text, std::string_view file);

struct Tekken {
  RankTable ranks;
  std::vector<std::string> specials;  // ids 0…; those of the ranks follow
};

// Its version is checked only as far as it decides what the special tokens are.
Tekken parse_tekken(const Json& file);

// How a list of merges is made from ranks.
enum class MergeRule : std::uint8_t {
  // The two parts that the pairs of lower rank leave of a token (tiktoken's own way).
  ByLowerRanks,
  // Every way to cut a token into two others (what transformers does for tekken).
  AllCuts,
};

// "left right" in the byte alphabet, in order of rank. A token that no rule reaches has none.
std::vector<std::string> merges_of_ranks(const RankTable& ranks, MergeRule rule);

}  // namespace holdfast::convert
