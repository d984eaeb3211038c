#include "ops/internal/toml_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "storage/base/error.h"

namespace holdfast::ops {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// The plain ones last: the longest that fits is written.
constexpr Unit kSizes[] = {{"TiB", 1ULL << 40},
                           {"TB", 1'000'000'000'000},
                           {"GiB", 1ULL << 30},
                           {"GB", 1'000'000'000},
                           {"MiB", 1ULL << 20},
                           {"MB", 1'000'000},
                           {"KiB", 1ULL << 10},
                           {"kB", 1'000},
                           {"B", 1}};

constexpr Unit kDurations[] = {{"d", 86'400}, {"h", 3'600}, {"m", 60}, {"s", 1}};

constexpr double kSizeMax = 1ULL << 60;
constexpr double kDurationMax = 366.0 * 86'400;

// A number and one of the units behind it; nothing for anything else.
std::optional<double> parse_quantity(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
  std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  while (name.starts_with(' ')) name.remove_prefix(1);
  const auto unit = std::ranges::find(units, name, &Unit::name);
  if (unit == units.end()) return std::nullopt;
  return number * static_cast<double>(unit->factor);
}

std::string quantity_text(std::uint64_t value, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (value >= unit.factor && value % unit.factor == 0) {
      return fmt::format("{}{}", value / unit.factor, unit.name);
    }
  }
  return fmt::format("0{}", units.back().name);
}

std::optional<int> parse_two_digits(std::string_view text, int max) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + 2 || text.size() != 2) return std::nullopt;
  return value > max ? std::nullopt : std::optional(value);
}

}  // namespace

void reject(const Place& place, const toml::node& node, std::string_view problem) {
  fail(ErrorKind::Invalid, fmt::format("{}:{}: {}: {}", place.file.string(),
                                       node.source().begin.line, place.key, problem));
}

std::string read_string(const Place& place, const toml::node& node) {
  if (!node.is_string()) reject(place, node, "expected a string");
  return node.as_string()->get();
}

std::vector<std::string> read_strings(const Place& place, const toml::node& node) {
  if (!node.is_array()) reject(place, node, "expected an array of strings");
  std::vector<std::string> values;
  for (const toml::node& element : *node.as_array()) values.push_back(read_string(place, element));
  return values;
}

std::vector<std::string> read_string_or_strings(const Place& place, const toml::node& node) {
  if (node.is_string()) return {read_string(place, node)};
  return read_strings(place, node);
}

bool read_bool(const Place& place, const toml::node& node) {
  if (!node.is_boolean()) reject(place, node, "expected true or false");
  return node.as_boolean()->get();
}

unsigned read_unsigned(const Place& place, const toml::node& node, unsigned max) {
  if (!node.is_integer()) reject(place, node, "expected an integer");
  const auto value = node.as_integer()->get();
  if (value < 0 || value > static_cast<std::int64_t>(max)) {
    reject(place, node, fmt::format("{} is outside 0 … {}", value, max));
  }
  return static_cast<unsigned>(value);
}

std::uint64_t read_size(const Place& place, const toml::node& node, bool per_second) {
  const char* const expected = per_second ? "expected bytes per second, such as \"20MB/s\""
                                          : "expected a size, such as \"20GB\"";
  if (node.is_integer() && node.as_integer()->get() >= 0) {
    return static_cast<std::uint64_t>(node.as_integer()->get());
  }
  if (!node.is_string()) reject(place, node, expected);
  const std::string& whole = node.as_string()->get();
  std::string_view text = whole;
  if (per_second) {
    if (!text.ends_with("/s")) reject(place, node, expected);
    text.remove_suffix(2);
  }
  const auto bytes = parse_quantity(text, kSizes);
  if (!bytes || *bytes > kSizeMax) {
    reject(place, node, fmt::format("{}, found \"{}\"", expected, whole));
  }
  return static_cast<std::uint64_t>(*bytes);
}

std::string size_text(std::uint64_t bytes, bool per_second) {
  return quantity_text(bytes, kSizes) + (per_second ? "/s" : "");
}

std::chrono::seconds read_duration(const Place& place, const toml::node& node) {
  const std::string text = read_string(place, node);
  const auto seconds = parse_quantity(text, kDurations);
  if (!seconds || *seconds > kDurationMax || *seconds < 1) {
    reject(place, node,
           fmt::format(R"(expected a time between "1s" and "366d", found "{}")", text));
  }
  return std::chrono::seconds(static_cast<std::int64_t>(*seconds));
}

std::string duration_text(std::chrono::seconds duration) {
  return quantity_text(static_cast<std::uint64_t>(duration.count()), kDurations);
}

std::chrono::minutes read_time_of_day(const Place& place, const toml::node& node) {
  const std::string text = read_string(place, node);
  const std::size_t colon = std::min(text.find(':'), text.size());
  const auto hours = parse_two_digits(std::string_view(text).substr(0, colon), 24);
  const auto minutes =
      parse_two_digits(std::string_view(text).substr(std::min(colon + 1, text.size())), 59);
  if (!hours || !minutes || *hours * 60 + *minutes > 24 * 60) {
    reject(place, node, fmt::format(R"(expected a time of day such as "08:30", found "{}")", text));
  }
  return std::chrono::minutes(*hours * 60 + *minutes);
}

std::string time_of_day_text(std::chrono::minutes time) {
  return fmt::format("{:02}:{:02}", time.count() / 60, time.count() % 60);
}

const toml::table& as_table(const Place& place, const toml::node& node) {
  if (!node.is_table()) reject(place, node, "expected a table");
  return *node.as_table();
}

std::string key_below(std::string_view prefix, std::string_view name) {
  return prefix.empty() ? std::string(name) : fmt::format("{}.{}", prefix, name);
}

}  // namespace holdfast::ops
