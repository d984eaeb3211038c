#include "mirror/url.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

TEST_CASE("mirror/url: addresses come apart and together again") {
  struct Case {
    const char *text, *same, *origin;
  };

  const Case cases[] = {
      {"https://HuggingFace.co", "https://huggingface.co/", "https://huggingface.co"},
      {"http://a:80/x?y=1#z", "http://a/x?y=1", "http://a"},
      {"https://a:8443/p%2Fq", "https://a:8443/p%2Fq", "https://a:8443"},
      {"http://[::1]:8080/", "http://[::1]:8080/", "http://[::1]:8080"},
      {"http://a?q", "http://a/?q", "http://a"},
      {"http://a/sp ace/\xc3\xa9", "http://a/sp%20ace/%C3%A9", "http://a"},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.text));
    const Url url = parse_url(c.text);
    CHECK(to_text(url) == c.same);
    CHECK(origin(url) == c.origin);
    CHECK(parse_url(to_text(url)) == url);
  }
}

TEST_CASE("mirror/url: what is no web address is refused") {
  for (const char* const text :
       {"", "huggingface.co", "ftp://a/", "file:///etc/passwd", "http://", "http://user:pw@a/",
        "http://a:0/", "http://a:65536/", "http://a:8x/", "http://[::1", "http://a b/",
        "http://a/\r\nX: y", "http://[evil]/", "https:///x"}) {
    CAPTURE(std::string(text));
    CHECK_THROWS_AS(parse_url(text), Error);
  }
  CHECK_THROWS_AS(parse_url("http://a/" + std::string(20'000, 'x')), Error);
  // A password must not reach a log by way of the error.
  try {
    parse_url("http://user:secret@a/");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("secret") == std::string::npos);
  }
}

TEST_CASE("mirror/url: references resolve as RFC 3986 section 5.4 says") {
  struct Case {
    const char *reference, *result;
  };

  const Url base = parse_url("http://a/b/c/d?q");
  const Case cases[] = {
      {"g", "http://a/b/c/g"},        {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},      {"/g", "http://a/g"},
      {"//g", "http://g/"},           {"?y", "http://a/b/c/d?y"},
      {"g?y", "http://a/b/c/g?y"},    {"", "http://a/b/c/d?q"},
      {".", "http://a/b/c/"},         {"..", "http://a/b/"},
      {"../g", "http://a/b/g"},       {"../../../g", "http://a/g"},
      {"/./g", "http://a/g"},         {"g/../h", "http://a/b/c/h"},
      {"https://x/y", "https://x/y"}, {"/g?a=../b", "http://a/g?a=../b"},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.reference));
    CHECK(to_text(resolve(base, c.reference)) == c.result);
  }
  CHECK_THROWS_AS(resolve(base, "javascript:alert(1)"), Error);
}

TEST_CASE("mirror/url: encoding, origins and addresses without their query") {
  CHECK(encode_segment("refs/pr/1 ä#?") == "refs%2Fpr%2F1%20%C3%A4%23%3F");
  CHECK(encode_path("a b/c+d") == "a%20b/c%2Bd");
  CHECK(same_origin(parse_url("https://a/x"), parse_url("https://a:443/y")));
  CHECK_FALSE(same_origin(parse_url("https://a/"), parse_url("http://a/")));
  CHECK_FALSE(same_origin(parse_url("https://a/"), parse_url("https://a:444/")));
  CHECK(without_query(parse_url("https://a/x?Signature=s")) == "https://a/x");
}

}  // namespace
}  // namespace holdfast::mirror
