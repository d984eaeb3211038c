#include "convert/tokenizers/unicode.h"

#include <array>

namespace holdfast::convert {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

struct Lead {
  unsigned size = 0;               // bytes of the sequence; 0 = no lead byte
  std::uint8_t second_min = 0x80;  // the second byte's range excludes overlong forms and surrogates
  std::uint8_t second_max = 0xBF;
};

constexpr Lead lead_of(std::uint8_t byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {.size = 2};
  if (byte == 0xE0) return {.size = 3, .second_min = 0xA0};
  if (byte == 0xED) return {.size = 3, .second_max = 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {.size = 3};
  if (byte == 0xF0) return {.size = 4, .second_min = 0x90};
  if (byte == 0xF4) return {.size = 4, .second_max = 0x8F};
  if (byte >= 0xF1 && byte <= 0xF3) return {.size = 4};
  return {};
}

struct Scan {
  CodePoint point;
  bool valid = false;  // otherwise point.size_bytes is the maximal broken part
};

Scan scan(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  if (byte(0) < 0x80) return {.point = {.value = byte(0), .size_bytes = 1}, .valid = true};
  const Lead lead = lead_of(byte(0));
  if (lead.size == 0) return {.point = {.size_bytes = 1}};
  auto value = static_cast<char32_t>(byte(0) & (0x7F >> lead.size));
  for (unsigned i = 1; i < lead.size; ++i) {
    const std::uint8_t low = i == 1 ? lead.second_min : 0x80;
    const std::uint8_t high = i == 1 ? lead.second_max : 0xBF;
    if (at + i == text.size() || byte(i) < low || byte(i) > high)
      return {.point = {.size_bytes = i}};
    value = value << 6 | (byte(i) & 0x3F);
  }
  return {.point = {.value = value, .size_bytes = lead.size}, .valid = true};
}

constexpr bool is_printable_latin1(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr char32_t kShiftedFirst = 0x100;
constexpr unsigned kShiftedCount = 68;

struct ByteAlphabet {
  std::array<char32_t, 256> symbol_of{};
  std::array<std::uint8_t, kShiftedCount> byte_of_shifted{};
};

constexpr ByteAlphabet make_alphabet() {
  ByteAlphabet alphabet;
  unsigned shifted = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (is_printable_latin1(byte)) {
      alphabet.symbol_of[byte] = byte;
    } else {
      alphabet.byte_of_shifted[shifted] = static_cast<std::uint8_t>(byte);
      alphabet.symbol_of[byte] = kShiftedFirst + shifted++;
    }
  }
  return alphabet;
}

constinit const ByteAlphabet kAlphabet = make_alphabet();

}  // namespace

std::optional<CodePoint> code_point_at(std::string_view text, std::size_t at) noexcept {
  if (at >= text.size()) return std::nullopt;
  const Scan found = scan(text, at);
  if (!found.valid) return std::nullopt;
  return found.point;
}

bool is_utf8(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const Scan found = scan(text, at);
    if (!found.valid) return false;
    at += found.point.size_bytes;
  }
  return true;
}

void append_utf8(char32_t value, std::string& out) {
  const auto continuation = [&](unsigned shift) {
    out += static_cast<char>(0x80 | (value >> shift & 0x3F));
  };
  if (value < 0x80) {
    out += static_cast<char>(value);
  } else if (value < 0x800) {
    out += static_cast<char>(0xC0 | value >> 6);
    continuation(0);
  } else if (value < 0x10000) {
    out += static_cast<char>(0xE0 | value >> 12);
    continuation(6);
    continuation(0);
  } else {
    out += static_cast<char>(0xF0 | value >> 18);
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size();) {
    const Scan found = scan(bytes, at);
    out += found.valid ? bytes.substr(at, found.point.size_bytes) : kReplacement;
    at += found.point.size_bytes;
  }
  return out;
}

char32_t byte_symbol(std::uint8_t byte) noexcept { return kAlphabet.symbol_of[byte]; }

std::optional<std::uint8_t> symbol_byte(char32_t symbol) noexcept {
  if (symbol < 0x100) {
    if (!is_printable_latin1(symbol)) return std::nullopt;
    return static_cast<std::uint8_t>(symbol);
  }
  if (symbol >= kShiftedFirst + kShiftedCount) return std::nullopt;
  return kAlphabet.byte_of_shifted[symbol - kShiftedFirst];
}

std::string to_byte_symbols(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) append_utf8(byte_symbol(static_cast<std::uint8_t>(c)), out);
  return out;
}

}  // namespace holdfast::convert
