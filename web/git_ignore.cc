#include "web/git_ignore.h"

#include <algorithm>
#include <ranges>
#include <string>

#include "web/limits.h"

namespace holdfast::web {
namespace {

// Without the line's end, and without blanks there but for one that a backslash keeps.
std::string_view trimmed(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
  return line;
}

bool take(std::string_view& line, char c) {
  if (!line.starts_with(c)) return false;
  line.remove_prefix(1);
  return true;
}

}  // namespace

GitIgnore::GitIgnore(std::string_view text) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with('#')) continue;
    const bool ignored = !take(line, '!');
    const bool directories_only = line.ends_with('/');
    if (directories_only) line.remove_suffix(1);
    const bool whole_path = line.find('/') != std::string_view::npos;
    take(line, '/');
    if (line.empty() || line.size() > kPatternMax) continue;
    rules_.push_back({.pattern = GitPattern(std::string(line)),
                      .whole_path = whole_path,
                      .directories_only = directories_only,
                      .ignored = ignored});
  }
}

bool GitIgnore::leaves_out(std::string_view path, bool is_directory, PatternSteps& steps) const {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const auto latest_first = rules_ | std::views::reverse;
  const auto last = std::ranges::find_if(latest_first, [&](const Rule& rule) {
    return (is_directory || !rule.directories_only) &&
           rule.pattern.fits(rule.whole_path ? path : name, steps);
  });
  return last != latest_first.end() && last->ignored;
}

bool GitIgnore::ignores(std::string_view path, PatternSteps& steps) const {
  for (auto slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    if (leaves_out(path.substr(0, slash), true, steps)) return true;
  }
  return leaves_out(path, false, steps);
}

}  // namespace holdfast::web
