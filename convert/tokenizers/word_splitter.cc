#include "convert/tokenizers/word_splitter.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <utility>

#include "convert/tokenizers/regex.h"
#include "convert/tokenizers/unicode.h"
#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

constexpr std::string_view kWhere = "tokenizer.json: pre_tokenizer";
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kPunctuation = R"([!-/:-@\[-`{-~\p{P}])";

using Words = std::vector<std::string>;

// What becomes of the matches of a splitting expression, and of what lies between them.
enum class Behavior { Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous };

constexpr std::pair<std::string_view, Behavior> kBehaviors[] = {
    {"Isolated", Behavior::Isolated},
    {"Removed", Behavior::Removed},
    {"MergedWithPrevious", Behavior::MergedWithPrevious},
    {"MergedWithNext", Behavior::MergedWithNext},
    {"Contiguous", Behavior::Contiguous},
};

struct Part {
  std::string_view text;
  bool matched = false;
};

std::vector<Part> parts_of(std::string_view text, const Regex& regex, bool invert) {
  std::vector<Part> parts;
  std::size_t at = 0;
  for (const Match& match : regex.find_all(text)) {
    if (match.begin > at) parts.push_back({text.substr(at, match.begin - at), invert});
    parts.push_back({text.substr(match.begin, match.end - match.begin), !invert});
    at = match.end;
  }
  if (at < text.size()) parts.push_back({text.substr(at), invert});
  return parts;
}

void append_split(std::string_view text, const Regex& regex, Behavior behavior, bool invert,
                  Words& out) {
  bool glue = false;  // the next part belongs to the last word
  bool last_matched = false;
  for (const Part& part : parts_of(text, regex, invert)) {
    if (part.matched && behavior == Behavior::Removed) {
      glue = false;
      continue;
    }
    const bool follows = !out.empty() && last_matched == part.matched;
    const bool glued = glue && part.matched == (behavior == Behavior::MergedWithPrevious);
    if (glued || (behavior == Behavior::Contiguous && part.matched && follows)) {
      out.back() += part.text;
    } else {
      out.emplace_back(part.text);
    }
    glue = (behavior == Behavior::MergedWithNext && part.matched) ||
           (behavior == Behavior::MergedWithPrevious && !part.matched);
    last_matched = part.matched;
  }
}

Words split_all(const Words& words, const Regex& regex, Behavior behavior, bool invert) {
  Words out;
  for (const std::string& word : words) {
    Words parts;
    append_split(word, regex, behavior, invert, parts);
    std::ranges::move(parts, std::back_inserter(out));
  }
  return out;
}

Behavior behavior_of(const Json& step, Behavior otherwise) {
  const Json* name = step.find("behavior");
  if (name == nullptr) return otherwise;
  const std::string where = std::string(kWhere) + ".behavior";
  const auto* row = std::ranges::find(kBehaviors, name->as_string(where),
                                      &std::pair<std::string_view, Behavior>::first);
  if (row == std::end(kBehaviors)) {
    fail(ErrorKind::Corrupt, where + ": expected a known name, found " + name->as_string());
  }
  return row->second;
}

bool flag_of(const Json& step, std::string_view key, bool otherwise) {
  const Json* value = step.find(key);
  return value == nullptr ? otherwise
                          : value->as_bool(std::string(kWhere) + "." + std::string(key));
}

std::string quote(std::string_view literal) {
  std::string pattern;
  for (const char c : literal) {
    if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c))) {
      pattern += '\\';
    }
    pattern += c;
  }
  return pattern;
}

Words split_step(const Words& words, const Json& step) {
  const Json* regex = step.find_path({"pattern", "Regex"});
  const Json* literal = step.find_path({"pattern", "String"});
  const std::string where = std::string(kWhere) + ".pattern";
  if (regex == nullptr && literal == nullptr) {
    fail(ErrorKind::Corrupt, where + ": expected Regex or String, found neither");
  }
  const Regex compiled(
      regex != nullptr ? regex->as_string(where) : quote(literal->as_string(where)), where);
  return split_all(words, compiled, behavior_of(step, Behavior::Isolated),
                   flag_of(step, "invert", false));
}

Words digits_step(const Words& words, const Json& step) {
  const bool one_by_one = flag_of(step, "individual_digits", false);
  return split_all(words, Regex(one_by_one ? R"(\p{N})" : R"(\p{N}+)", std::string(kWhere)),
                   Behavior::Isolated, false);
}

Words punctuation_step(const Words& words, const Json& step) {
  const Behavior behavior = behavior_of(step, Behavior::Isolated);
  return split_all(words, Regex(kPunctuation, std::string(kWhere)), behavior, false);
}

Words byte_level_step(const Words& words, const Json& step) {
  Words out = words;
  if (flag_of(step, "add_prefix_space", true)) {
    for (std::string& word : out) {
      if (!word.starts_with(' ')) word.insert(0, 1, ' ');
    }
  }
  if (flag_of(step, "use_regex", true)) {
    out = split_all(out, Regex(kGpt2, std::string(kWhere)), Behavior::Isolated, false);
  }
  for (std::string& word : out) word = to_byte_symbols(word);
  return out;
}

Words bert_step(const Words& words, const Json& /*step*/) {
  const Words apart =
      split_all(words, Regex(R"(\s)", std::string(kWhere)), Behavior::Removed, false);
  return split_all(apart, Regex(kPunctuation, std::string(kWhere)), Behavior::Isolated, false);
}

Words whitespace_step(const Words& words, const Json& /*step*/) {
  return split_all(words, Regex(R"(\w+|[^\w\s]+)", std::string(kWhere)), Behavior::Removed, true);
}

Words whitespace_split_step(const Words& words, const Json& /*step*/) {
  return split_all(words, Regex(R"(\s)", std::string(kWhere)), Behavior::Removed, false);
}

struct Row {
  std::string_view type;
  Words (*split)(const Words& words, const Json& step);
};

constexpr Row kSteps[] = {
    {"Split", split_step},
    {"Digits", digits_step},
    {"Punctuation", punctuation_step},
    {"ByteLevel", byte_level_step},
    {"BertPreTokenizer", bert_step},
    {"Whitespace", whitespace_step},
    {"WhitespaceSplit", whitespace_split_step},
};

bool apply(const Json& step, Words& words) {
  const Json* type = step.find("type");
  if (type == nullptr || !type->is_string()) return false;
  if (const Json* steps = step.find("pretokenizers"); type->as_string() == "Sequence") {
    if (steps == nullptr) return false;
    const Json::Array& list = steps->as_array(std::string(kWhere) + ".pretokenizers");
    return std::ranges::all_of(list, [&](const Json& part) { return apply(part, words); });
  }
  const auto* row = std::ranges::find(kSteps, type->as_string(), &Row::type);
  if (row == std::end(kSteps)) return false;
  words = row->split(words, step);
  return true;
}

}  // namespace

std::optional<Words> split_words(std::string_view text, const Json* pre_tokenizer) {
  Words words = {std::string(text)};
  if (pre_tokenizer != nullptr && !apply(*pre_tokenizer, words)) return std::nullopt;
  return words;
}

}  // namespace holdfast::convert
