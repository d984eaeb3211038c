#include "mirror/http_headers.h"

#include <doctest/doctest.h>

namespace holdfast::mirror {
namespace {

using std::chrono::seconds;

TEST_CASE("mirror/http_headers: lines become values") {
  Headers headers;
  CHECK(add_header_line(headers, "X-Linked-Size:  12 \r\n"));
  CHECK(add_header_line(headers, "ETag: \"a:b\"\r\n"));
  CHECK_FALSE(add_header_line(headers, "HTTP/1.1 200 OK\r\n"));
  CHECK_FALSE(add_header_line(headers, "\r\n"));
  CHECK_FALSE(add_header_line(headers, ": no name\r\n"));
  CHECK(headers.find("x-linked-size") == "12");
  CHECK(headers.find("etag") == "\"a:b\"");
  CHECK_FALSE(headers.find("absent"));
}

TEST_CASE("mirror/http_headers: the next page of a Link") {
  struct Case {
    const char *link, *next;
  };

  const Case cases[] = {
      {"<https://h/api?cursor=a%3D>; rel=\"next\"", "https://h/api?cursor=a%3D"},
      {"</api?cursor=b>; rel=next", "/api?cursor=b"},
      {"<x>; rel=\"prev\", <y>; title=\"a, b\"; rel=\"next\"", "y"},
      {"<x>; rel=\"xet-auth\", <y>; rel=\"xet-reconstruction-info\"", ""},
      {"<x>", ""},
      {"<x", ""},
      {"", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.link));
    CHECK(next_link(c.link).value_or("") == c.next);
  }
}

TEST_CASE("mirror/http_headers: dates") {
  const auto date = parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
  REQUIRE(date);
  CHECK(date->time_since_epoch() == seconds(784'111'777));
  for (const char* const bad :
       {"", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 0997 08:49:37 GMT", "Sun, 06 Nov 9997 08:49:37 GMT"}) {
    CAPTURE(std::string(bad));
    CHECK_FALSE(parse_http_date(bad));
  }
}

TEST_CASE("mirror/http_headers: how long to stay away") {
  struct Case {
    const char *limit, *after, *date;
    int seconds;  // -1: not said
  };

  const Case cases[] = {
      {"", "", "", -1},
      {"", "12", "", 12},
      {"", "soon", "", -1},
      {"", "-5", "", -1},
      {"", "99999999999", "", 366 * 24 * 3600},
      {"\"api\";r=0;t=55", "7", "", 56},
      {"\"api\";r=3;t=55", "", "", -1},
      {"\"api\";r=3;t=55", "7", "", 7},
      {"\"api\";r=x;t=55", "", "", -1},
      // By the sender's clock, however wrong ours is.
      {"", "Sun, 06 Nov 1994 08:50:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", 60},
      {"", "Sun, 06 Nov 1994 08:50:37 GMT", "", 70},
      {"", "Sun, 06 Nov 1994 08:40:00 GMT", "", 0},
  };
  const Time now{seconds(784'111'767)};
  for (const Case& c : cases) {
    CAPTURE(std::string(c.limit) + "|" + c.after + "|" + c.date);
    Headers headers;
    if (*c.limit != '\0') headers.add("RateLimit", c.limit);
    if (*c.after != '\0') headers.add("Retry-After", c.after);
    if (*c.date != '\0') headers.add("Date", c.date);
    CHECK(announced_wait(headers, now).value_or(seconds(-1)) == seconds(c.seconds));
  }
}

TEST_CASE("mirror/http_headers: content ranges") {
  const auto range = parse_content_range("bytes 5-9/100");
  REQUIRE(range);
  CHECK(range->first == 5);
  CHECK(range->last == 9);
  CHECK(range->size_bytes == 100);
  CHECK_FALSE(parse_content_range("bytes 0-0/*")->size_bytes);
  for (const char* const bad : {"", "bytes", "bytes 5/100", "bytes 9-5/100", "bytes 5-100/100",
                                "items 0-1/2", "bytes 0-1/x", "bytes 0-18446744073709551616/*"}) {
    CAPTURE(std::string(bad));
    CHECK_FALSE(parse_content_range(bad));
  }
}

}  // namespace
}  // namespace holdfast::mirror
