#include "convert/tokenizers/rank_table.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <utility>

#include "convert/tokenizers/base64.h"
#include "convert/tokenizers/unicode.h"
#include "convert/tokenizers/vocabulary.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

using Ranks = std::unordered_map<std::string_view, std::size_t>;

// No published token is longer.
constexpr std::size_t kTokenBytesMax = 4096;
// Finding the merge of a token takes time with the square of its length; so many steps suffice for
// a table a hundred times as long as any published one.
constexpr std::uint64_t kMergeStepsMax = 4'000'000'000;

// Until version 7 the special tokens of tekken.json stand only in mistral-common.
constexpr std::string_view kOldSpecials[] = {"<unk>",
                                             "<s>",
                                             "</s>",
                                             "[INST]",
                                             "[/INST]",
                                             "[AVAILABLE_TOOLS]",
                                             "[/AVAILABLE_TOOLS]",
                                             "[TOOL_RESULTS]",
                                             "[/TOOL_RESULTS]",
                                             "[TOOL_CALLS]",
                                             "[IMG]",
                                             "<pad>",
                                             "[IMG_BREAK]",
                                             "[IMG_END]",
                                             "[PREFIX]",
                                             "[MIDDLE]",
                                             "[SUFFIX]",
                                             "[SYSTEM_PROMPT]",
                                             "[/SYSTEM_PROMPT]",
                                             "[TOOL_CONTENT]"};

void append_token(RankTable& table, std::string bytes, std::uint64_t rank,
                  const std::string& where) {
  check_token_count(table.size() + 1, where);
  if (rank != table.size()) {
    fail(ErrorKind::Corrupt, where + ": expected rank " + std::to_string(table.size()) +
                                 " next, found " + std::to_string(rank));
  }
  if (bytes.empty() || bytes.size() > kTokenBytesMax) {
    fail(ErrorKind::Corrupt, where + ": rank " + std::to_string(rank) + ": expected 1 to " +
                                 std::to_string(kTokenBytesMax) + " bytes, found " +
                                 std::to_string(bytes.size()));
  }
  table.push_back(std::move(bytes));
}

Ranks ranks_of(const RankTable& table, const std::string& where) {
  Ranks ranks;
  ranks.reserve(table.size());
  for (std::size_t rank = 0; rank < table.size(); ++rank) {
    const auto [entry, added] = ranks.emplace(table[rank], rank);
    if (!added) {
      fail(ErrorKind::Corrupt, where + ": expected each token once, found rank " +
                                   std::to_string(entry->second) + " again at rank " +
                                   std::to_string(rank));
    }
  }
  return ranks;
}

std::uint64_t parse_rank(std::string_view text, const std::string& where) {
  std::uint64_t rank = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rank);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail(ErrorKind::Corrupt, where + ": expected a rank, found \"" + std::string(text) + "\"");
  }
  return rank;
}

const Json& member(const Json& object, std::string_view key, const std::string& where) {
  const Json* value = object.find(key);
  if (value == nullptr) {
    fail(ErrorKind::Corrupt, where + "." + std::string(key) + ": expected a value, found none");
  }
  return *value;
}

std::vector<std::string> tekken_specials(const Json& file, std::uint64_t count) {
  const std::string where = "tekken.json: special_tokens";
  check_token_count(count, "tekken.json: config.default_num_special_tokens");
  std::vector<std::string> specials(count);
  for (std::uint64_t id = 0; id < count; ++id) {
    specials[id] = "<SPECIAL_" + std::to_string(id) + ">";
  }
  const Json* list = file.find("special_tokens");
  if (list == nullptr) {
    std::copy_n(std::begin(kOldSpecials), std::min(std::size(kOldSpecials), specials.size()),
                specials.begin());
    return specials;
  }
  for (const Json& token : list->as_array(where)) {
    const std::uint64_t id = member(token, "rank", where).as_uint(where + ".rank");
    if (id >= count) {
      fail(ErrorKind::Corrupt, where + ".rank: expected below " + std::to_string(count) +
                                   ", found " + std::to_string(id));
    }
    specials[id] = member(token, "token_str", where).as_string(where + ".token_str");
  }
  return specials;
}

// The parts of a token once all pairs that make a token of lower rank have been joined.
std::vector<std::string_view> parts_by_lower_ranks(std::string_view token, std::size_t rank,
                                                   const Ranks& ranks) {
  std::vector<std::size_t> cuts(token.size() + 1);
  for (std::size_t i = 0; i < cuts.size(); ++i) cuts[i] = i;
  for (;;) {
    std::size_t best_rank = rank;
    std::size_t best = 0;
    for (std::size_t i = 0; i + 2 < cuts.size(); ++i) {
      const auto found = ranks.find(token.substr(cuts[i], cuts[i + 2] - cuts[i]));
      if (found == ranks.end() || found->second >= best_rank) continue;
      best_rank = found->second;
      best = i + 1;
    }
    if (best == 0) break;
    cuts.erase(cuts.begin() + static_cast<std::ptrdiff_t>(best));
  }
  std::vector<std::string_view> parts;
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    parts.push_back(token.substr(cuts[i], cuts[i + 1] - cuts[i]));
  }
  return parts;
}

std::string to_merge(std::string_view left, std::string_view right) {
  return to_byte_symbols(left) + " " + to_byte_symbols(right);
}

void append_all_cuts(std::string_view token, const Ranks& ranks, std::vector<std::string>& merges) {
  struct Cut {
    std::size_t left_rank;
    std::size_t right_rank;
    std::size_t at;
  };

  std::vector<Cut> cuts;
  for (std::size_t at = 1; at < token.size(); ++at) {
    const auto left = ranks.find(token.substr(0, at));
    const auto right = ranks.find(token.substr(at));
    if (left != ranks.end() && right != ranks.end()) {
      cuts.push_back({.left_rank = left->second, .right_rank = right->second, .at = at});
    }
  }
  std::ranges::sort(cuts, {},
                    [](const Cut& cut) { return std::pair(cut.left_rank, cut.right_rank); });
  for (const Cut& cut : cuts)
    merges.push_back(to_merge(token.substr(0, cut.at), token.substr(cut.at)));
}

}  // namespace

RankTable parse_tiktoken(std::string_view text, std::string_view file) {
  RankTable table;
  const std::string name(file);
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view row = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (row.ends_with('\r')) row.remove_suffix(1);
    if (row.empty()) continue;
    const std::string where = name + ": line " + std::to_string(line);
    const std::size_t space = std::min(row.find(' '), row.size());
    const std::string_view rank = row.substr(std::min(space + 1, row.size()));
    append_token(table, decode_base64(row.substr(0, space), where), parse_rank(rank, where), where);
  }
  ranks_of(table, name);
  return table;
}

Tekken parse_tekken(const Json& file) {
  const std::string where = "tekken.json: config";
  const Json& config = member(file, "config", "tekken.json");
  const std::uint64_t total =
      member(config, "default_vocab_size", where).as_uint(where + ".default_vocab_size");
  const std::uint64_t specials = member(config, "default_num_special_tokens", where)
                                     .as_uint(where + ".default_num_special_tokens");
  Tekken tekken{.ranks = {}, .specials = tekken_specials(file, specials)};
  const Json::Array& vocabulary =
      member(file, "vocab", "tekken.json").as_array("tekken.json: vocab");
  if (total < specials || vocabulary.size() < total - specials) {
    fail(ErrorKind::Corrupt, where + ".default_vocab_size: expected at most " +
                                 std::to_string(vocabulary.size() + specials) + ", found " +
                                 std::to_string(total));
  }
  for (std::size_t i = 0; i < total - specials; ++i) {
    const std::string place = "tekken.json: vocab[" + std::to_string(i) + "]";
    const std::string& bytes =
        member(vocabulary[i], "token_bytes", place).as_string(place + ".token_bytes");
    append_token(tekken.ranks, decode_base64(bytes, place),
                 member(vocabulary[i], "rank", place).as_uint(place + ".rank"), place);
  }
  ranks_of(tekken.ranks, "tekken.json: vocab");
  return tekken;
}

std::vector<std::string> merges_of_ranks(const RankTable& table, MergeRule rule) {
  const Ranks ranks = ranks_of(table, "ranks");
  std::uint64_t steps = 0;
  for (const std::string& token : table) steps += token.size() * token.size();
  if (steps > kMergeStepsMax) {
    fail(ErrorKind::LimitExceeded,
         "ranks: expected tokens whose squared lengths sum up to at most " +
             std::to_string(kMergeStepsMax) + ", found " + std::to_string(steps));
  }
  std::vector<std::string> merges;
  for (std::size_t rank = 0; rank < table.size(); ++rank) {
    if (table[rank].size() < 2) continue;
    if (rule == MergeRule::AllCuts) {
      append_all_cuts(table[rank], ranks, merges);
      continue;
    }
    const auto parts = parts_by_lower_ranks(table[rank], rank, ranks);
    if (parts.size() == 2) merges.push_back(to_merge(parts[0], parts[1]));
  }
  return merges;
}

}  // namespace holdfast::convert
