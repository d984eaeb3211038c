#include "web/base64.h"

#include <doctest/doctest.h>

namespace holdfast::web {

TEST_CASE("web/base64: the vectors of RFC 4648, with padding and without") {
  struct Case {
    const char* bytes;
    const char* text;
  };

  constexpr Case kCases[] = {{"", ""},
                             {"f", "Zg=="},
                             {"fo", "Zm8="},
                             {"foo", "Zm9v"},
                             {"foob", "Zm9vYg=="},
                             {"fooba", "Zm9vYmE="},
                             {"foobar", "Zm9vYmFy"}};
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.text));
    CHECK(encode_base64(c.bytes) == c.text);
    CHECK(decode_base64(c.text) == c.bytes);
    const std::string_view text = c.text;
    CHECK(decode_base64(text.substr(0, text.find('='))) == c.bytes);
  }
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  CHECK(decode_base64(encode_base64(all)) == all);
}

TEST_CASE("web/base64: what is no base64 is nothing") {
  for (const char* text : {"Z", "Zg=", "Zm9v=", "Z===", "Zm 9v", "Zm9-", "=", "Zg==Zg=="}) {
    CAPTURE(std::string(text));
    CHECK_FALSE(decode_base64(text).has_value());
  }
}

}  // namespace holdfast::web
