// Which files of a repository go through git-lfs, as its .gitattributes says (git's gitattributes
// and gitignore pages, "PATTERN FORMAT"; the attribute "filter" alone). Pure. A line that git would
// not understand says nothing, nor does one whose pattern is longer than kPatternMax.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "web/git_pattern.h"

namespace holdfast::web {

class GitAttributes {
 public:
  explicit GitAttributes(std::string_view text);

  // Whether the last line that fits the path and speaks of "filter" says "lfs". LimitExceeded.
  bool is_lfs(std::string_view path, PatternSteps& steps) const;

  // The line that makes one path an LFS file, with its newline.
  static std::string lfs_line(std::string_view path);

  // The patterns that a fresh repository starts with: the formats that hold weights, archives and
  // arrays, as on the hub.
  static std::string defaults();

 private:
  struct Says {
    std::size_t line = 0;  // counted from 1
    bool lfs = false;
  };

  struct Rule {
    GitPattern pattern;
    bool whole_path = false;  // the pattern has a slash, so it is about all of the path
    Says says;
  };

  using Plain = std::map<std::string, Says, std::less<>>;  // patterns that are a name alone

  Plain paths_, names_;
  std::vector<Rule> rules_;  // the others, in the lines' order
};

}  // namespace holdfast::web
