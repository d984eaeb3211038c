// One pattern of .gitattributes and .gitignore (git's gitignore page, "PATTERN FORMAT", and its
// wildmatch with WM_PATHNAME): '*' and '?' stop at '/', "**" between slashes does not, "[a-z]" and
// "[!a]" are sets, a backslash takes the next character as it is. Pure.
//
// Patterns and paths are a stranger's, and some pairs cost their lengths' product: whoever tries
// many shares one PatternSteps between them, which throws LimitExceeded when there are no more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::web {

// What may still be spent, in steps of a few nanoseconds. One owner.
class PatternSteps {
 public:
  explicit PatternSteps(std::uint64_t steps_max) noexcept : left_(steps_max) {}

  void take(std::uint64_t steps) {
    if (steps > left_) fail_spent();
    left_ -= steps;
  }

  std::uint64_t left() const noexcept { return left_; }

 private:
  [[noreturn]] static void fail_spent();

  std::uint64_t left_;
};

class GitPattern {
 public:
  explicit GitPattern(std::string text);

  const std::string& text() const noexcept { return text_; }

  // Whether it fits no other text than itself.
  bool is_plain() const noexcept { return kind_ == Kind::Plain; }

  bool fits(std::string_view path, PatternSteps& steps) const;

 private:
  // "*.ending" and names are what most patterns are.
  enum class Kind { Plain, Ending, Other };

  std::string text_;
  Kind kind_ = Kind::Other;
};

}  // namespace holdfast::web
