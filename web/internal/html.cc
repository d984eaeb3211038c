#include "web/internal/html.h"

#include <array>
#include <span>

#include <fmt/format.h>

namespace holdfast::web {
namespace {

struct Unit {
  double scale;
  std::string_view name;
};

std::string scaled_text(double value, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    const double scaled = value / unit.scale;
    if (scaled < 1) continue;
    return scaled < 10 ? fmt::format("{:.1f} {}", scaled, unit.name)
                       : fmt::format("{:.0f} {}", scaled, unit.name);
  }
  return fmt::format("{:.0f}", value);
}

}  // namespace

void Html::put(std::string_view content) {
  for (const char c : content) {
    switch (c) {
      case '&':
        text_ += "&amp;";
        break;
      case '<':
        text_ += "&lt;";
        break;
      case '>':
        text_ += "&gt;";
        break;
      case '"':
        text_ += "&quot;";
        break;
      case '\'':
        text_ += "&#39;";
        break;
      default:
        text_ += c;
    }
  }
}

std::string size_text(std::uint64_t size_bytes) {
  constexpr std::array kUnits{Unit{1e12, "TB"}, Unit{1e9, "GB"}, Unit{1e6, "MB"}, Unit{1e3, "kB"}};
  if (size_bytes < 1000) return std::to_string(size_bytes) + " B";
  return scaled_text(static_cast<double>(size_bytes), kUnits);
}

std::string count_text(std::uint64_t count) {
  constexpr std::array kUnits{Unit{1e12, "T"}, Unit{1e9, "B"}, Unit{1e6, "M"}, Unit{1e3, "k"}};
  return scaled_text(static_cast<double>(count), kUnits);
}

}  // namespace holdfast::web
