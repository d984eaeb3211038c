// UTF-8 and the byte alphabet of byte-level BPE. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::convert {

struct CodePoint {
  char32_t value = 0;
  std::size_t size_bytes = 0;
};

// The code point at `at`, or nothing where the bytes are not UTF-8 (RFC 3629: no surrogates, no
// overlong forms, at most U+10FFFF).
std::optional<CodePoint> code_point_at(std::string_view text, std::size_t at) noexcept;

bool is_utf8(std::string_view text) noexcept;

void append_utf8(char32_t value, std::string& out);

// Each maximal broken part becomes one U+FFFD (Unicode standard, 3.9, "substitution of maximal
// subparts"), which is what Rust's lossy decoding does.
std::string to_valid_utf8(std::string_view bytes);

// GPT-2's printable stand-in for each byte: printable Latin-1 stands for itself, the other 68 bytes
// are U+0100 upwards in order, so a space is U+0120.
char32_t byte_symbol(std::uint8_t byte) noexcept;
std::optional<std::uint8_t> symbol_byte(char32_t symbol) noexcept;
std::string to_byte_symbols(std::string_view bytes);

}  // namespace holdfast::convert
