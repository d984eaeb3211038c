#include "web/exposition.h"

#include <array>

#include <fmt/format.h>

namespace holdfast::web {
namespace {

constexpr std::array<std::string_view, 4> kTypes{"counter", "gauge", "histogram", "summary"};

void append_escaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
}

}  // namespace

void Exposition::family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help,
                       kTypes.at(static_cast<std::size_t>(type)));
}

void Exposition::sample(std::string_view suffix, Labels labels, double value) {
  add(suffix, labels, fmt::format("{}", value));
}

void Exposition::single(std::string_view name, Type type, std::string_view help,
                        std::uint64_t value) {
  family(name, type, help);
  sample({}, value);
}

void Exposition::add(std::string_view suffix, Labels labels, std::string_view value) {
  text_.append(name_).append(suffix);
  char before = '{';
  for (const auto& [label, text] : labels) {
    text_ += before;
    text_.append(label).append("=\"");
    append_escaped(text_, text);
    text_ += '"';
    before = ',';
  }
  if (labels.size() != 0) text_ += '}';
  text_.append(" ").append(value).append("\n");
}

}  // namespace holdfast::web
