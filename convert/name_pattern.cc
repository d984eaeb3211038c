#include "convert/name_pattern.h"

#include <algorithm>
#include <cassert>
#include <charconv>

namespace holdfast::convert {
namespace {

constexpr std::string_view kHole = "{}";

bool is_number(std::string_view text) {
  constexpr std::size_t kDigitsMax = 9;
  return !text.empty() && text.size() <= kDigitsMax && (text.size() == 1 || text.front() != '0') &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::optional<std::uint64_t> NameMatch::number(std::size_t n) const noexcept {
  if (n >= holes.size() || !is_number(holes[n])) return std::nullopt;
  std::uint64_t value = 0;
  std::from_chars(holes[n].data(), holes[n].data() + holes[n].size(), value);
  return value;
}

std::optional<NameMatch> match_name(std::string_view pattern, std::string_view name) {
  NameMatch match;
  for (;;) {
    const std::size_t hole = pattern.find(kHole);
    const std::string_view literal = pattern.substr(0, hole);
    if (!name.starts_with(literal)) return std::nullopt;
    name.remove_prefix(literal.size());
    if (hole == std::string_view::npos) {
      if (!name.empty()) return std::nullopt;
      return match;
    }
    pattern.remove_prefix(hole + kHole.size());
    const std::string_view word = name.substr(0, name.find('.'));
    const bool is_kind = pattern.empty() && (word == "weight" || word == "bias");
    if (!is_kind && !is_number(word)) return std::nullopt;
    match.holes.push_back(word);
    name.remove_prefix(word.size());
  }
}

std::string fill_name(std::string_view pattern, const NameMatch& match) {
  std::string name;
  for (std::size_t n = 0;; ++n) {
    const std::size_t hole = pattern.find(kHole);
    name += pattern.substr(0, hole);
    if (hole == std::string_view::npos) return name;
    assert(n < match.holes.size());
    name += match.holes[n];
    pattern.remove_prefix(hole + kHole.size());
  }
}

}  // namespace holdfast::convert
