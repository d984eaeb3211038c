#include "web/git_pattern.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "storage/base/error.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kSpecial = "*?[\\";
constexpr std::uint64_t kNameSteps = 2;  // a name is no loop, but its text lies elsewhere

// What stands at one place of a pattern, and where the pattern goes on.
struct Unit {
  enum class Kind { One, Star, Directories, Everything } kind = Kind::One;
  std::size_t next = 0;
  bool fits = false;  // of One: whether it is this character
};

// "[…]" from `at` on. Never a slash; one that does not end goes on to the pattern's end.
Unit read_set(std::string_view pattern, std::size_t at, unsigned char c) noexcept {
  std::size_t end = at + 1;
  const bool negated = end < pattern.size() && (pattern[end] == '!' || pattern[end] == '^');
  if (negated) ++end;
  const std::size_t first = end;
  bool found = false;
  for (; end < pattern.size() && (pattern[end] != ']' || end == first); ++end) {
    const auto low = static_cast<unsigned char>(pattern[end]);
    auto high = low;
    if (end + 2 < pattern.size() && pattern[end + 1] == '-' && pattern[end + 2] != ']') {
      high = static_cast<unsigned char>(pattern[end + 2]);
      end += 2;
    }
    found = found || (low <= c && c <= high);
  }
  return {.next = std::min(end + 1, pattern.size()), .fits = found != negated && c != '/'};
}

// `left` is what the text has from there on.
Unit read_unit(std::string_view pattern, std::size_t at, std::string_view left) noexcept {
  const std::string_view rest = pattern.substr(at);
  const bool starts_part = at == 0 || pattern[at - 1] == '/';
  if (starts_part && rest == "**") return {.kind = Unit::Kind::Everything, .next = pattern.size()};
  if (starts_part && rest.starts_with("**/"))
    return {.kind = Unit::Kind::Directories, .next = at + 3};
  if (rest.front() == '*') {
    const auto next = std::min(pattern.find_first_not_of('*', at), pattern.size());
    return {.kind = Unit::Kind::Star, .next = next};
  }
  const bool more = !left.empty();
  const char c = more ? left.front() : '/';
  if (rest.front() == '[') {
    const Unit set = read_set(pattern, at, static_cast<unsigned char>(c));
    return {.next = set.next, .fits = more && set.fits};
  }
  if (rest.front() == '?') return {.next = at + 1, .fits = more && c != '/'};
  if (rest.front() == '\\' && rest.size() > 1)
    return {.next = at + 2, .fits = more && c == rest[1]};
  return {.next = at + 1, .fits = more && c == rest.front()};
}

// Where to go on when nothing fits: what stands behind a star fits further on, or not at all.
struct Retry {
  std::size_t pattern = 0;
  std::size_t text = 0;
};

// It is enough to go back to the last star of a part, and else to the last "**/": a slash is fitted
// by a slash alone, so where a part of the pattern begins says where it ends.
bool fits_other(std::string_view pattern, std::string_view text, PatternSteps& steps) {
  std::optional<Retry> star, directories;
  std::size_t p = 0, t = 0;
  while (true) {
    if (p < pattern.size()) {
      const Unit unit = read_unit(pattern, p, text.substr(t));
      steps.take(unit.next - p);
      if (unit.kind == Unit::Kind::Everything) return true;
      if (unit.kind != Unit::Kind::One || unit.fits) {
        p = unit.next;
        if (unit.kind == Unit::Kind::One) ++t;
        if (unit.kind == Unit::Kind::Star) star = Retry{.pattern = p, .text = t};
        if (unit.kind == Unit::Kind::Directories) {
          star.reset();
          directories = Retry{.pattern = p, .text = t};
        }
        continue;
      }
    } else if (t == text.size()) {
      return true;
    }
    steps.take(1);
    if (star && star->text < text.size() && text[star->text] != '/') {
      ++star->text;
      p = star->pattern;
      t = star->text;
      continue;
    }
    star.reset();
    const auto slash = directories ? text.find('/', directories->text) : text.npos;
    if (slash == text.npos) return false;
    directories->text = slash + 1;
    p = directories->pattern;
    t = directories->text;
  }
}

}  // namespace

void PatternSteps::fail_spent() {
  fail(ErrorKind::LimitExceeded,
       "too many files for the patterns of .gitattributes and .gitignore: send fewer at once");
}

GitPattern::GitPattern(std::string text) : text_(std::move(text)) {
  if (text_.find_first_of(kSpecial) == text_.npos) {
    kind_ = Kind::Plain;
  } else if (text_.starts_with('*') && text_.find_first_of("*?[\\/", 1) == text_.npos) {
    kind_ = Kind::Ending;
  }
}

bool GitPattern::fits(std::string_view path, PatternSteps& steps) const {
  if (kind_ == Kind::Other) return fits_other(text_, path, steps);
  steps.take(kNameSteps);
  if (kind_ == Kind::Plain) return path == text_;
  const std::string_view ending = std::string_view(text_).substr(1);
  return path.ends_with(ending) &&
         path.substr(0, path.size() - ending.size()).find('/') == path.npos;
}

}  // namespace holdfast::web
