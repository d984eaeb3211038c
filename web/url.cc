#include "web/url.h"

#include <algorithm>
#include <array>

namespace holdfast::web {
namespace {

int hex_value(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  const char lower = static_cast<char>(digit | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The byte that text[at..at+2] ("%XX") stands for; -1 when it is no escape.
int escape_at(std::string_view text, std::size_t at) noexcept {
  if (text[at] != '%' || at + 2 >= text.size()) return -1;
  const int high = hex_value(text[at + 1]);
  const int low = hex_value(text[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool is_unreserved(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::string decode_form_text(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (const int byte = escape_at(text, at); byte >= 0) {
      decoded += static_cast<char>(byte);
      at += 2;
    } else {
      decoded += text[at] == '+' ? ' ' : text[at];
    }
  }
  return decoded;
}

std::string_view without_origin(std::string_view target) noexcept {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    const auto slash = target.find('/', scheme.size());
    return slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  return target;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool escaped = text[at] == '%';
    const int byte = escaped ? escape_at(text, at) : static_cast<unsigned char>(text[at]);
    if (byte <= 0) return std::nullopt;
    decoded += static_cast<char>(byte);
    if (escaped) at += 2;
  }
  return decoded;
}

std::string percent_encode(std::string_view text, bool keep_slashes) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size() + 8);
  for (const char c : text) {
    if (is_unreserved(c) || (keep_slashes && c == '/')) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kDigits[byte >> 4U];
    encoded += kDigits[byte & 15U];
  }
  return encoded;
}

bool is_host(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_unreserved(c) || c == ':' || c == '[' || c == ']';
  });
}

Parameters Parameters::parse(std::string_view encoded) {
  // Ten times what any route takes: a body of nothing but "&a" would cost eighty times its size.
  constexpr std::size_t kFieldsMax = 100'000;
  Parameters parameters;
  while (!encoded.empty() && parameters.values_.size() < kFieldsMax) {
    const auto end = std::min(encoded.find('&'), encoded.size());
    const std::string_view pair = encoded.substr(0, end);
    encoded.remove_prefix(std::min(end + 1, encoded.size()));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    const auto value = pair.substr(std::min(equals + 1, pair.size()));
    parameters.add(decode_form_text(pair.substr(0, equals)), decode_form_text(value));
  }
  return parameters;
}

void Parameters::add(std::string key, std::string value) {
  if (key.ends_with("[]")) key.resize(key.size() - 2);
  values_.emplace_back(std::move(key), std::move(value));
}

const std::string* Parameters::find(std::string_view key) const noexcept {
  const auto found =
      std::ranges::find_if(values_, [&](const auto& pair) { return pair.first == key; });
  return found == values_.end() ? nullptr : &found->second;
}

std::vector<std::string> Parameters::all(std::string_view key) const {
  std::vector<std::string> found;
  for (const auto& [name, value] : values_) {
    if (name == key) found.push_back(value);
  }
  return found;
}

bool Parameters::flag(std::string_view key) const noexcept {
  constexpr std::array<std::string_view, 4> kTrue{"true", "True", "1", ""};
  const std::string* value = find(key);
  return value != nullptr && std::ranges::find(kTrue, *value) != kTrue.end();
}

std::optional<Target> split_target(std::string_view target) {
  target = without_origin(target);
  if (target.empty() || target.front() != '/') return std::nullopt;
  const auto is_blank = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
  if (std::ranges::any_of(target, is_blank)) return std::nullopt;
  if (const auto fragment = target.find('#'); fragment != std::string_view::npos) {
    target = target.substr(0, fragment);
  }

  Target result;
  const auto question = std::min(target.find('?'), target.size());
  result.path = target.substr(0, question);
  result.query = target.substr(std::min(question + 1, target.size()));

  std::string_view rest = result.path.substr(1);
  while (!rest.empty()) {
    const auto end = std::min(rest.find('/'), rest.size());
    if (end == 0) return std::nullopt;
    result.parts.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return result;
}

}  // namespace holdfast::web
