#include "web/git_attributes.h"

#include <algorithm>
#include <array>
#include <optional>
#include <ranges>

#include "web/limits.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kLfs = " filter=lfs diff=lfs merge=lfs -text\n";

constexpr std::array<std::string_view, 35> kDefaultPatterns{
    "*.7z",     "*.arrow", "*.bin",    "*.bz2",   "*.ckpt",        "*.ftz",   "*.gguf",
    "*.gz",     "*.h5",    "*.joblib", "*.lfs.*", "*.mlmodel",     "*.model", "*.msgpack",
    "*.npy",    "*.npz",   "*.onnx",   "*.ot",    "*.parquet",     "*.pb",    "*.pickle",
    "*.pkl",    "*.pt",    "*.pth",    "*.rar",   "*.safetensors", "*.tar",   "*.tar.*",
    "*.tflite", "*.tgz",   "*.wasm",   "*.xz",    "*.zip",         "*.zst",   "*tfevents*"};

std::string_view next_word(std::string_view& line) {
  constexpr std::string_view kBlank = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const auto word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

// A pattern in double quotes has C's escapes; only those that a path of ours can need are known.
std::optional<std::string> take_quoted(std::string_view& line) {
  std::string pattern;
  for (std::size_t at = 1; at < line.size(); ++at) {
    if (line[at] == '"') {
      line.remove_prefix(at + 1);
      return pattern;
    }
    if (line[at] == '\\' && at + 1 < line.size()) ++at;
    pattern.push_back(line[at]);
  }
  return std::nullopt;
}

std::optional<std::string> take_pattern(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  if (line.empty() || line.front() == '#') return std::nullopt;
  if (line.front() == '"') return take_quoted(line);
  std::string pattern(next_word(line));
  if (pattern.starts_with("[attr]") || pattern.starts_with('!')) return std::nullopt;
  return pattern;
}

// What a line says of "filter": nothing, or whether it is lfs.
std::optional<bool> filter_of(std::string_view line) {
  constexpr std::string_view kFilter = "filter";
  std::optional<bool> lfs;
  for (auto word = next_word(line); !word.empty(); word = next_word(line)) {
    if (word == "filter=lfs") {
      lfs = true;
    } else if (word == kFilter || word == "-filter" || word == "!filter" ||
               word.starts_with("filter=")) {
      lfs = false;
    }
  }
  return lfs;
}

// One place of a pattern: what may stand there, and where the pattern goes on.
struct Token {
  enum class Kind { Char, Any, Set, Star, DeepStar } kind = Kind::Char;
  char c = 0;
  std::array<bool, 256> set{};
};

std::size_t read_set(std::string_view pattern, std::size_t at, Token& token) {
  std::size_t end = at + 1;
  const bool negated = end < pattern.size() && (pattern[end] == '!' || pattern[end] == '^');
  if (negated) ++end;
  const std::size_t first = end;
  for (; end < pattern.size() && (pattern[end] != ']' || end == first); ++end) {
    auto low = static_cast<unsigned char>(pattern[end]);
    auto high = low;
    if (end + 2 < pattern.size() && pattern[end + 1] == '-' && pattern[end + 2] != ']') {
      high = static_cast<unsigned char>(pattern[end + 2]);
      end += 2;
    }
    for (unsigned c = low; c <= high; ++c) token.set[c] = true;
  }
  if (negated) {
    for (bool& in : token.set) in = !in;
  }
  token.set['/'] = false;
  token.kind = Token::Kind::Set;
  return end + 1;
}

std::vector<Token> tokens_of(std::string_view pattern) {
  std::vector<Token> tokens;
  for (std::size_t at = 0; at < pattern.size();) {
    Token token{.c = pattern[at]};
    const bool starts_part = at == 0 || pattern[at - 1] == '/';
    if (starts_part && pattern.substr(at).starts_with("**/")) {
      token.kind = Token::Kind::DeepStar;  // any directories, or none
      at += 3;
    } else if (starts_part && pattern.substr(at) == "**") {
      tokens.push_back({.kind = Token::Kind::DeepStar});
      token.kind = Token::Kind::Star;
      at += 2;
    } else if (pattern[at] == '*') {
      token.kind = Token::Kind::Star;
      while (at < pattern.size() && pattern[at] == '*') ++at;
    } else if (pattern[at] == '?') {
      token.kind = Token::Kind::Any;
      ++at;
    } else if (pattern[at] == '[') {
      at = read_set(pattern, at, token);
    } else {
      if (pattern[at] == '\\' && at + 1 < pattern.size()) token.c = pattern[++at];
      ++at;
    }
    tokens.push_back(token);
  }
  return tokens;
}

bool is_plain(std::string_view pattern) noexcept {
  return pattern.find_first_of("*?[\\") == std::string_view::npos;
}

// "*.ending", as most patterns are.
bool is_ending(std::string_view pattern) noexcept {
  return pattern.starts_with('*') && pattern.find_first_of("*?[\\/", 1) == std::string_view::npos;
}

bool fits(const Token& token, char c) {
  switch (token.kind) {
    case Token::Kind::Char:
      return token.c == c;
    case Token::Kind::Any:
      return c != '/';
    case Token::Kind::Set:
      return token.set[static_cast<unsigned char>(c)];
    case Token::Kind::Star:
    case Token::Kind::DeepStar:
      break;
  }
  return false;
}

}  // namespace

// Row by row of the table "the tokens from i on fit the text from t on", from its end.
bool wildmatch(std::string_view pattern, std::string_view text) {
  if (is_ending(pattern)) {
    const std::string_view ending = pattern.substr(1);
    return text.ends_with(ending) &&
           text.substr(0, text.size() - ending.size()).find('/') == std::string_view::npos;
  }
  if (is_plain(pattern)) return pattern == text;
  const std::vector<Token> tokens = tokens_of(pattern);
  std::vector<bool> after(text.size() + 1, false);
  after.back() = true;
  for (const Token& token : tokens | std::views::reverse) {
    std::vector<bool> now(text.size() + 1, false);
    bool deep = false;  // of "**/": what follows fits behind some later slash
    for (std::size_t t = text.size() + 1; t-- > 0;) {
      const bool more = t < text.size();
      if (token.kind == Token::Kind::Star) {
        now[t] = after[t] || (more && text[t] != '/' && now[t + 1]);
      } else if (token.kind == Token::Kind::DeepStar) {
        if (more && text[t] == '/') deep = deep || after[t + 1];
        now[t] = after[t] || deep;
      } else {
        now[t] = more && fits(token, text[t]) && after[t + 1];
      }
    }
    after = std::move(now);
  }
  return after.front();
}

GitAttributes::GitAttributes(std::string_view text) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    auto pattern = take_pattern(line);
    const auto lfs = filter_of(line);
    if (!pattern || pattern->empty() || pattern->size() > kPatternMax || !lfs) continue;
    const bool rooted = pattern->starts_with('/');
    if (rooted) pattern->erase(0, 1);
    const bool whole_path = rooted || pattern->find('/') != std::string::npos;
    if (!is_plain(*pattern) && !is_ending(*pattern)) slow_bytes_ += pattern->size();
    rules_.push_back({.pattern = *std::move(pattern), .whole_path = whole_path, .lfs = *lfs});
  }
}

std::uint64_t GitAttributes::steps(std::string_view path) const noexcept {
  return slow_bytes_ * (path.size() + 1) + rules_.size();
}

bool GitAttributes::is_lfs(std::string_view path) const {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const auto latest_first = rules_ | std::views::reverse;
  const auto last = std::ranges::find_if(latest_first, [&](const Rule& rule) {
    return wildmatch(rule.pattern, rule.whole_path ? path : name);
  });
  return last != latest_first.end() && last->lfs;
}

std::string GitAttributes::lfs_line(std::string_view path) {
  // From the root: a bare name would fit in every directory, and '#' or '!' says something else.
  std::string pattern = "/";
  for (const char c : path) {
    if (std::string_view("*?[\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  if (pattern.find_first_of(" \"") == std::string::npos) return pattern + std::string(kLfs);
  std::string quoted;
  for (const char c : pattern) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return "\"" + quoted + "\"" + std::string(kLfs);
}

std::string GitAttributes::defaults() {
  std::string text;
  for (const std::string_view pattern : kDefaultPatterns) {
    text += std::string(pattern) + std::string(kLfs);
  }
  return text + "saved_model/**/*" + std::string(kLfs);
}

}  // namespace holdfast::web
