#include "convert/model_card.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include <yaml-cpp/yaml.h>

#include "convert/tokenizers/unicode.h"

namespace holdfast::convert {

namespace {

constexpr std::size_t kFrontMatterBytesMax = std::size_t{1} << 20;
constexpr std::size_t kValuesMax = 100'000;
constexpr unsigned kDepthMax = 32;

// Aliases make YAML a graph, so values are counted as they are copied out of it.
// yaml-cpp writes some escapes ("\N") as single bytes above 127.
std::string text_of(const YAML::Node& scalar) { return to_valid_utf8(scalar.Scalar()); }

class Copier {
 public:
  Json copy(const YAML::Node& node, unsigned depth) {
    if (depth > kDepthMax || ++values_ > kValuesMax) throw YAML::Exception(node.Mark(), "limit");
    if (node.IsScalar()) return Json(text_of(node));
    if (node.IsSequence()) {
      Json::Array array;
      for (const YAML::Node& item : node) array.push_back(copy(item, depth + 1));
      return Json(std::move(array));
    }
    if (node.IsMap()) return Json(copy_map(node, depth));
    return Json();
  }

  Json::Object copy_map(const YAML::Node& node, unsigned depth) {
    Json::Object object;
    for (const auto& entry : node) {
      if (entry.first.IsScalar()) object.set(text_of(entry.first), copy(entry.second, depth + 1));
    }
    return object;
  }

 private:
  std::size_t values_ = 0;
};

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// YAML forbids tabs as indentation; cards have them all the same.
std::string front_matter_of(std::string_view card) {
  std::string yaml;
  if (take_line(card) != "---") return yaml;
  while (!card.empty()) {
    const std::string_view line = take_line(card);
    if (line == "---") break;
    if (yaml.size() + line.size() > kFrontMatterBytesMax) return {};
    for (const char c : line) {
      if (c == '\t') {
        yaml += "  ";
      } else {
        yaml += c;
      }
    }
    yaml += '\n';
  }
  return yaml;
}

}  // namespace

Json::Object parse_front_matter(std::string_view card) {
  try {
    const YAML::Node root = YAML::Load(to_valid_utf8(front_matter_of(card)));
    return root.IsMap() ? Copier().copy_map(root, 0) : Json::Object();
  } catch (const YAML::Exception&) {
    return {};
  }
}

Json parse_yaml(std::string_view text) {
  if (text.size() > kFrontMatterBytesMax) return {};
  try {
    return Copier().copy(YAML::Load(to_valid_utf8(text)), 0);
  } catch (const YAML::Exception&) {
    return {};
  }
}

}  // namespace holdfast::convert
