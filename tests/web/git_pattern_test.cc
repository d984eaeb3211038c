#include "web/git_pattern.h"

#include <doctest/doctest.h>

#include "tests/storage/error_kind.h"

namespace holdfast::web {
namespace {

using tests::kind_of;

bool fits(std::string_view pattern, std::string_view text) {
  PatternSteps steps(1'000'000);
  return GitPattern(std::string(pattern)).fits(text, steps);
}

// As git's page says it, and no faster: tries all that a star may stand for.
bool fits_by_the_book(std::string_view pattern, std::string_view text, bool starts_part) {
  if (pattern.empty()) return text.empty();
  if (starts_part && pattern == "**") return true;
  if (starts_part && pattern.starts_with("**/")) {
    if (fits_by_the_book(pattern.substr(3), text, true)) return true;
    const auto slash = text.find('/');
    return slash != text.npos && fits_by_the_book(pattern, text.substr(slash + 1), true);
  }
  if (pattern.front() == '*') {
    const auto rest = pattern.substr(std::min(pattern.find_first_not_of('*'), pattern.size()));
    for (std::size_t length = 0;; ++length) {
      if (fits_by_the_book(rest, text.substr(length), false)) return true;
      if (length == text.size() || text[length] == '/') return false;
    }
  }
  if (text.empty()) return false;
  const bool same = pattern.front() == '?' ? text.front() != '/' : pattern.front() == text.front();
  return same && fits_by_the_book(pattern.substr(1), text.substr(1), pattern.front() == '/');
}

// All texts of up to so many letters.
std::vector<std::string> all_of(std::string_view letters, std::size_t longest) {
  std::vector<std::string> all{""};
  for (std::size_t at = 0; at < all.size() && all[at].size() < longest; ++at) {
    for (const char c : letters) all.push_back(all[at] + c);
  }
  return all;
}

}  // namespace

TEST_CASE("web/git_pattern: patterns fit as git says") {
  struct Case {
    const char* pattern;
    const char* text;
    bool fits;
  };

  constexpr Case kCases[] = {
      {"*.bin", "a.bin", true},
      {"*.bin", "a.bin.txt", false},
      {"*.bin", "d/a.bin", false},
      {"*tfevents*", "events.out.tfevents.1", true},
      {"a?c", "abc", true},
      {"a?c", "a/c", false},
      {"[a-c]x", "bx", true},
      {"[!a-c]x", "bx", false},
      {"[]a]", "]", true},
      {"a\\*b", "a*b", true},
      {"a\\*b", "axb", false},
      {"d/*", "d/a", true},
      {"d/*", "d/e/a", false},
      {"d/**", "d/e/a", true},
      {"d/**/*", "d/a", true},
      {"d/**/*", "d/e/f/a", true},
      {"d/**/*", "x/d/a", false},
      {"**/a", "a", true},
      {"**/a", "x/y/a", true},
      {"**/a", "x/ya", false},
      {"a**b", "axyb", true},
      {"a**b", "ax/yb", false},
      {"", "", true},
      {"", "a", false},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.pattern));
    CAPTURE(std::string(c.text));
    CHECK(fits(c.pattern, c.text) == c.fits);
  }
}

TEST_CASE("web/git_pattern: short patterns fit what the book says, and nothing else") {
  const auto texts = all_of("ab/", 5);
  for (const std::string& pattern : all_of("a/*?", 5)) {
    CAPTURE(pattern);
    for (const std::string& text : texts) {
      // One check for each pattern: a million of them take their time.
      if (fits(pattern, text) == fits_by_the_book(pattern, text, true)) continue;
      CAPTURE(text);
      CHECK(fits(pattern, text) == fits_by_the_book(pattern, text, true));
    }
  }
  for (const char* pattern : {"**/a/**/b*c", "a**/**/*b", "**/*/**/a", "*a/**", "**/**/a*b?"}) {
    CAPTURE(std::string(pattern));
    for (const std::string& text : all_of("abc/", 6)) {
      if (fits(pattern, text) == fits_by_the_book(pattern, text, true)) continue;
      CAPTURE(text);
      CHECK(fits(pattern, text) == fits_by_the_book(pattern, text, true));
    }
  }
}

TEST_CASE("web/git_pattern: a hostile pattern costs no more than it may") {
  std::string stars;
  for (int i = 0; i < 250; ++i) stars += "*a";
  const std::string text(4000, 'a');
  PatternSteps enough(100'000);
  CHECK_FALSE(GitPattern(stars + "b").fits(text, enough));
  std::string deep;
  for (int i = 0; i < 60; ++i) deep += "a/";
  PatternSteps few(1000);
  CHECK(kind_of([&] { GitPattern("**/*a*/*a*/*a*b").fits(deep + text, few); }) ==
        ErrorKind::LimitExceeded);
  CHECK(few.left() < 512);
  // What is matched counts as what is tried again.
  PatternSteps ten(10);
  CHECK(GitPattern("??????????").fits("aaaaaaaaaa", ten));
  CHECK(ten.left() == 0);
  CHECK(kind_of([&] { GitPattern("?").fits("a", ten); }) == ErrorKind::LimitExceeded);
  CHECK(kind_of([&] { GitPattern("a").fits("a", ten); }) == ErrorKind::LimitExceeded);
  PatternSteps set(10);
  CHECK(kind_of([&] { GitPattern("[abcdefghij]").fits("a", set); }) == ErrorKind::LimitExceeded);
}

}  // namespace holdfast::web
