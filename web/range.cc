#include "web/range.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include <fmt/compile.h>

#include "web/internal/lower.h"

namespace holdfast::web {
namespace {

constexpr std::uint64_t kInfinite = std::numeric_limits<std::uint64_t>::max();

// Digits only; saturates instead of overflowing.
std::optional<std::uint64_t> parse_position(std::string_view text) noexcept {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    value = value > (kInfinite - digit) / 10 ? kInfinite : value * 10 + digit;
  }
  return value;
}

std::string_view trim(std::string_view text) noexcept {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool names_bytes(std::string_view unit) noexcept { return same_ignoring_case(unit, "bytes"); }

}  // namespace

RangeResult parse_range(std::string_view header, std::uint64_t size_bytes) {
  const RangeResult whole{RangeKind::Whole, {0, size_bytes}};
  const RangeResult unsatisfiable{RangeKind::Unsatisfiable, {}};

  const auto equals = header.find('=');
  if (equals == std::string_view::npos || !names_bytes(trim(header.substr(0, equals))))
    return whole;
  const std::string_view set = trim(header.substr(equals + 1));
  const auto dash = set.find('-');
  if (dash == std::string_view::npos || set.find(',') != std::string_view::npos) return whole;
  const std::string_view first_text = trim(set.substr(0, dash));
  const std::string_view last_text = trim(set.substr(dash + 1));

  if (first_text.empty()) {
    const auto suffix = parse_position(last_text);
    if (!suffix) return whole;
    if (*suffix == 0 || size_bytes == 0) return unsatisfiable;
    const auto length = std::min(*suffix, size_bytes);
    return {RangeKind::Part, {size_bytes - length, length}};
  }
  const auto first = parse_position(first_text);
  const auto last = last_text.empty() ? kInfinite : parse_position(last_text);
  if (!first || !last || *last < *first) return whole;
  if (*first >= size_bytes) return unsatisfiable;
  return {RangeKind::Part, {*first, std::min(*last, size_bytes - 1) - *first + 1}};
}

bool names_etag(std::string_view header, std::string_view etag) {
  header = trim(header);
  if (header == "*") return true;
  while (true) {
    while (!header.empty() && (header.front() == ',' || header.front() == ' ')) {
      header.remove_prefix(1);
    }
    if (header.starts_with("W/")) header.remove_prefix(2);
    if (!header.starts_with('"')) return false;
    const auto close = header.find('"', 1);
    if (close == std::string_view::npos) return false;
    if (header.substr(0, close + 1) == etag) return true;
    header = trim(header.substr(close + 1));
    if (!header.starts_with(',')) return false;
  }
}

std::string content_range(const storage::ByteRange& range, std::uint64_t size_bytes) {
  // Into one buffer: every answer with a part of a file has it.
  std::array<char, 80> text;
  const auto end = fmt::format_to(text.begin(), FMT_COMPILE("bytes {}-{}/{}"), range.offset,
                                  range.offset + range.length - 1, size_bytes);
  return {text.begin(), end};
}

std::string content_range_unsatisfied(std::uint64_t size_bytes) {
  return "bytes */" + std::to_string(size_bytes);
}

}  // namespace holdfast::web
