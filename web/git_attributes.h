// Which files of a repository go through git-lfs, as its .gitattributes says (git's gitattributes
// and gitignore pages, "PATTERN FORMAT"; the attribute "filter" alone). Pure. A line that git would
// not understand says nothing, nor does one whose pattern is longer than kPatternMax.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::web {

class GitAttributes {
 public:
  explicit GitAttributes(std::string_view text);

  // Whether the last line that fits the path and speaks of "filter" says "lfs".
  bool is_lfs(std::string_view path) const;

  // About what is_lfs() of this path costs, in steps of a few nanoseconds: whoever asks for many
  // paths of a stranger's patterns adds them up.
  std::uint64_t steps(std::string_view path) const noexcept;

  // The line that makes one path an LFS file, with its newline.
  static std::string lfs_line(std::string_view path);

  // The patterns that a fresh repository starts with: the formats that hold weights, archives and
  // arrays, as on the hub.
  static std::string defaults();

 private:
  struct Rule {
    std::string pattern;
    bool whole_path = false;  // the pattern has a slash, so it is about all of the path
    bool lfs = false;
  };

  std::vector<Rule> rules_;
  std::uint64_t slow_bytes_ = 0;  // of patterns that are more than a name or an ending
};

// git's wildmatch with WM_PATHNAME: '*' and '?' stop at '/', "**" between slashes does not,
// "[a-z]" and "[!a]" are sets, a backslash takes the next character as it is. Takes time in
// proportion to pattern times text.
bool wildmatch(std::string_view pattern, std::string_view text);

}  // namespace holdfast::web
