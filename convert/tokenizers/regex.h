// Regular expressions as tokenizer.json writes them: Perl syntax over Unicode (PCRE2 behind it).
// Immutable once compiled; matching from several threads is safe. Errors: Unsupported for an
// expression that does not compile; LimitExceeded when a match takes too many steps, so that a
// hostile expression cannot hang.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::convert {

struct Match {
  std::size_t begin = 0;
  std::size_t end = 0;
};

class Regex {
 public:
  // `where` names the field in errors.
  Regex(std::string_view pattern, std::string where);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  // All matches from left to right, none overlapping; empty matches are left out.
  std::vector<Match> find_all(std::string_view text) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
  std::string where_;
};

}  // namespace holdfast::convert
