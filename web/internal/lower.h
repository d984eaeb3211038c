// Small and large letters of ASCII, in which no locale has a say; other bytes stay as they are.
// Pure, thread-safe.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace holdfast::web {

constexpr char lower_letter(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), lower_letter);
  return lower;
}

inline bool same_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, {}, lower_letter, lower_letter);
}

}  // namespace holdfast::web
