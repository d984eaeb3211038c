#include <set>

#include <doctest/doctest.h>

#include "convert/tokenizers/unicode.h"

namespace holdfast::convert {
namespace {

TEST_CASE("convert/tokenizers/unicode: broken parts become one replacement character each") {
  struct Case {
    std::string_view name;
    std::string_view bytes;
    std::string_view expected;
  };

  constexpr Case kCases[] = {
      {"ASCII", "abc", "abc"},
      {"two, three and four bytes", "\xC3\xB8\xE2\x96\x81\xF0\x9F\x9A\x80",
       "\xC3\xB8\xE2\x96\x81\xF0\x9F\x9A\x80"},
      {"a lone continuation", "\x80", "\xEF\xBF\xBD"},
      {"an overlong slash", "\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"a surrogate", "\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"above U+10FFFF", "\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"three bytes of four, then a letter",
       "\xF0\x9F\x9A"
       "a",
       "\xEF\xBF\xBD"
       "a"},
      {"cut at the end", "a\xE2\x96", "a\xEF\xBF\xBD"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    CHECK(to_valid_utf8(c.bytes) == c.expected);
    CHECK(is_utf8(c.bytes) == (c.bytes == c.expected));
  }
}

TEST_CASE("convert/tokenizers/unicode: every code point survives writing and reading") {
  for (char32_t value = 0; value <= 0x10FFFF; ++value) {
    if (value >= 0xD800 && value <= 0xDFFF) continue;
    std::string text;
    append_utf8(value, text);
    const auto point = code_point_at(text, 0);
    if (!point || point->value != value || point->size_bytes != text.size()) {
      FAIL("code point ", static_cast<std::uint32_t>(value));
    }
  }
}

TEST_CASE("convert/tokenizers/unicode: each byte has a symbol of its own") {
  std::set<char32_t> symbols;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t symbol = byte_symbol(static_cast<std::uint8_t>(byte));
    symbols.insert(symbol);
    CHECK(symbol_byte(symbol) == byte);
  }
  CHECK(symbols.size() == 256);
  CHECK(byte_symbol(' ') == 0x120);
  CHECK(byte_symbol('\n') == 0x10A);
  CHECK(byte_symbol(0xAD) == 0x143);
  CHECK_FALSE(symbol_byte(0x144));
  CHECK_FALSE(symbol_byte(' '));
}

}  // namespace
}  // namespace holdfast::convert
