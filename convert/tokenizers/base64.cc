#include "convert/tokenizers/base64.h"

#include <cstdint>

#include "storage/base/error.h"

namespace holdfast::convert {

namespace {

int digit_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

}  // namespace

std::string decode_base64(std::string_view text, std::string_view where) {
  std::string bytes;
  std::uint32_t bits = 0;
  unsigned count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    const int digit = digit_of(c);
    if (digit < 0) {
      fail(ErrorKind::Corrupt, std::string(where) + ": expected base64, found byte " +
                                   std::to_string(static_cast<unsigned char>(c)));
    }
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return bytes;
}

}  // namespace holdfast::convert
