// Which files of an upload the repository does not want, as the .gitignore at its root says (git's
// gitignore page, "PATTERN FORMAT"). Pure. A line whose pattern is longer than kPatternMax says
// nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::web {

class GitIgnore {
 public:
  explicit GitIgnore(std::string_view text);

  // Whether the file or a directory that it lies in is left out. What lies in a directory that is
  // left out cannot be taken in again.
  bool ignores(std::string_view path) const;

  // About what that costs, as GitAttributes::steps().
  std::uint64_t steps(std::string_view path) const noexcept;

 private:
  struct Rule {
    std::string pattern;
    bool whole_path = false;        // it has a slash before its end: it is about all of the path
    bool directories_only = false;  // it ends in one
    bool ignored = true;            // else taken in again
  };

  bool leaves_out(std::string_view path, bool is_directory) const;

  std::vector<Rule> rules_;
  std::uint64_t pattern_bytes_ = 0;
};

}  // namespace holdfast::web
