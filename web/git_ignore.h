// Which files of an upload the repository does not want, as the .gitignore at its root says (git's
// gitignore page, "PATTERN FORMAT"). Pure. A line whose pattern is longer than kPatternMax says
// nothing.
#pragma once

#include <string_view>
#include <vector>

#include "web/git_pattern.h"

namespace holdfast::web {

class GitIgnore {
 public:
  explicit GitIgnore(std::string_view text);

  // Whether the file or a directory that it lies in is left out. What lies in a directory that is
  // left out cannot be taken in again. LimitExceeded.
  bool ignores(std::string_view path, PatternSteps& steps) const;

 private:
  struct Rule {
    GitPattern pattern;
    bool whole_path = false;        // it has a slash before its end: it is about all of the path
    bool directories_only = false;  // it ends in one
    bool ignored = true;            // else taken in again
  };

  bool leaves_out(std::string_view path, bool is_directory, PatternSteps& steps) const;

  std::vector<Rule> rules_;
};

}  // namespace holdfast::web
