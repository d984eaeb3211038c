#include "web/url.h"

#include <doctest/doctest.h>

namespace holdfast::web {

TEST_CASE("web/url: percent decoding takes whole escapes only") {
  struct Case {
    const char* encoded;
    const char* decoded;  // nullptr: refused
  };

  constexpr Case kCases[] = {
      {"", ""},         {"plain", "plain"}, {"a%2Fb", "a/b"},   {"a%2fb", "a/b"},
      {"%41", "A"},     {"a+b", "a+b"},     {"%25", "%"},       {"%c3%af", "\xc3\xaf"},
      {"%00", nullptr}, {"%", nullptr},     {"%4", nullptr},    {"%4x", nullptr},
      {"%x4", nullptr}, {"%%41", nullptr},  {"%0d%0a", "\r\n"},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.encoded));
    const auto decoded = percent_decode(c.encoded);
    CHECK(decoded.has_value() == (c.decoded != nullptr));
    if (decoded && c.decoded != nullptr) CHECK(*decoded == c.decoded);
  }
}

TEST_CASE("web/url: what is encoded decodes to itself") {
  std::string all;
  for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(byte);
  CHECK(percent_decode(percent_encode(all)) == all);
  CHECK(percent_decode(percent_encode(all, true)) == all);
  CHECK(percent_encode("a/b c") == "a%2Fb%20c");
  CHECK(percent_encode("a/b c", true) == "a/b%20c");
}

TEST_CASE("web/url: parameters keep repeats, know [] and the booleans of every client") {
  const Parameters query =
      Parameters::parse("expand=sha&expand%5B%5D=gated&q=a+b%20c&blobs&x=True");
  CHECK(query.all("expand") == std::vector<std::string>{"sha", "gated"});
  REQUIRE(query.find("q") != nullptr);
  CHECK(*query.find("q") == "a b c");
  CHECK(query.flag("blobs"));
  CHECK(query.flag("x"));
  CHECK_FALSE(query.flag("absent"));
  for (const char* text : {"r=false", "r=False", "r=0", "r=no"}) {
    CHECK_FALSE(Parameters::parse(text).flag("r"));
  }
  for (const char* text : {"r=true", "r=True", "r=1"}) CHECK(Parameters::parse(text).flag("r"));
  CHECK(Parameters::parse("&&=&a").find("a") != nullptr);
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += "a&";
  CHECK(Parameters::parse(many + "b").find("b") == nullptr);  // what fields may cost has an end
}

TEST_CASE("web/url: targets split on the encoded path") {
  const auto target = split_target("/a/b%2Fc/?x=1&y=/d");
  REQUIRE(target.has_value());
  CHECK(target->path == "/a/b%2Fc/");
  CHECK(target->query == "x=1&y=/d");
  CHECK(target->parts == std::vector<std::string_view>{"a", "b%2Fc"});
  CHECK(split_target("/")->parts.empty());
  CHECK(split_target("http://host:1/a?b")->path == "/a");
  CHECK(split_target("https://host")->path == "/");
  CHECK(split_target("/a#b")->path == "/a");
  for (const char* bad : {"", "a/b", "*", "//a", "/a//b", "/a b", "/a\tb", "/a\x7f"}) {
    CAPTURE(std::string(bad));
    CHECK_FALSE(split_target(bad).has_value());
  }
}

}  // namespace holdfast::web
