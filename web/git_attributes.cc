#include "web/git_attributes.h"

#include <algorithm>
#include <array>
#include <optional>
#include <ranges>
#include <utility>

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

}  // namespace

GitAttributes::GitAttributes(std::string_view text) {
  std::size_t lines = 0;
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
    const Says says{.line = ++lines, .lfs = *lfs};
    GitPattern parsed(*std::move(pattern));
    if (parsed.is_plain()) {
      (whole_path ? paths_ : names_).insert_or_assign(parsed.text(), says);
    } else {
      rules_.push_back({.pattern = std::move(parsed), .whole_path = whole_path, .says = says});
    }
  }
}

bool GitAttributes::is_lfs(std::string_view path, PatternSteps& steps) const {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  Says last;
  for (const auto& [names, text] : {std::pair(&paths_, path), std::pair(&names_, name)}) {
    const auto found = names->find(text);
    if (found != names->end() && found->second.line > last.line) last = found->second;
  }
  for (const Rule& rule : rules_ | std::views::reverse) {
    if (rule.says.line < last.line) break;
    if (rule.pattern.fits(rule.whole_path ? path : name, steps)) return rule.says.lfs;
  }
  return last.lfs;
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
