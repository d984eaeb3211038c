#include "web/front_matter.h"

#include <algorithm>

#include <yaml-cpp/yaml.h>

#include "web/limits.h"

namespace holdfast::web {
namespace {

std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// One line of a parser's text, which may quote a name of any length, or any character.
std::string beginning_of(std::string_view text) {
  constexpr std::size_t kBytesMax = 200;
  const auto is_inside = [](char c) { return (static_cast<unsigned char>(c) >> 6U) == 2; };
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' '; };
  std::size_t end = std::min(text.size(), kBytesMax);
  while (end > 0 && end < text.size() && is_inside(text[end])) --end;
  std::string line(text.substr(0, end));
  std::ranges::replace_if(line, is_control, ' ');
  return line;
}

}  // namespace

std::string problem_of_front_matter(std::string_view readme) {
  if (take_line(readme) != "---") return "";
  std::string yaml;
  while (true) {
    if (readme.empty()) return "The front matter has no end: expected a line \"---\"";
    const std::string_view line = take_line(readme);
    if (line == "---") break;
    yaml.append(line).append("\n");
    if (yaml.size() > kFrontMatterMax) return "The front matter is too large";
  }
  try {
    const YAML::Node node = YAML::Load(yaml);
    if (node.IsMap() || node.IsNull()) return "";
    return "The front matter is no map: expected lines such as \"license: mit\"";
  } catch (const YAML::Exception& error) {
    // The opening line is the file's first.
    const int line = error.mark.line + 2;
    return "The front matter cannot be read: line " + std::to_string(line) + ": " +
           beginning_of(error.msg);
  }
}

}  // namespace holdfast::web
