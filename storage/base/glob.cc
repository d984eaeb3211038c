#include "storage/base/glob.h"

#include <cstddef>

namespace holdfast {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

// The index of the ']' that closes the set opened at `open`. A ']' right behind "[" or "[!" is a
// member, as in fnmatch. kNone when the set never closes: then '[' is an ordinary character.
std::size_t set_end(std::string_view pattern, std::size_t open) noexcept {
  std::size_t first = open + 1;
  if (first < pattern.size() && pattern[first] == '!') ++first;
  return first < pattern.size() ? pattern.find(']', first + 1) : kNone;
}

bool set_contains(std::string_view set, char c) noexcept {
  const bool negated = set.starts_with('!');
  if (negated) set.remove_prefix(1);
  const auto byte = [](char x) { return static_cast<unsigned char>(x); };
  bool found = false;
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      found |= byte(set[i]) <= byte(c) && byte(c) <= byte(set[i + 2]);
      i += 2;
    } else {
      found |= set[i] == c;
    }
  }
  return found != negated;
}

// How many pattern characters the single-character item at `at` has when it matches `c`; 0 when it
// does not match.
std::size_t match_one(std::string_view pattern, std::size_t at, char c) noexcept {
  if (pattern[at] == '?') return 1;
  if (pattern[at] == '[') {
    const std::size_t end = set_end(pattern, at);
    if (end != kNone)
      return set_contains(pattern.substr(at + 1, end - at - 1), c) ? end - at + 1 : 0;
  }
  return pattern[at] == c ? 1 : 0;
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) noexcept {
  // "dir/" stands for "dir/*": such a pattern may end before the text does.
  const bool open_end = pattern.ends_with('/');
  std::size_t p = 0, t = 0;
  // The last '*' seen and where its run ends for now: only that one ever needs to grow again.
  std::size_t star = kNone, star_text = 0;
  while (t < text.size()) {
    if (open_end && p == pattern.size()) return true;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    const std::size_t step = p < pattern.size() ? match_one(pattern, p, text[t]) : 0;
    if (step != 0) {
      p += step;
      ++t;
    } else if (star != kNone) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace holdfast
