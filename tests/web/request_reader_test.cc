#include "web/request_reader.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "web/limits.h"

namespace holdfast::web {
namespace {

using State = RequestReader::State;

// Feeds `bytes` in slices of `slice`, as a connection does: what was not taken comes again.
std::size_t feed(RequestReader& reader, std::string_view bytes, std::size_t slice) {
  std::size_t begin = 0;
  std::size_t end = 0;
  while (reader.state() == State::NeedsMore && end < bytes.size()) {
    end = std::min(end + slice, bytes.size());
    begin += reader.put(bytes.substr(begin, end - begin));
    if (reader.state() != State::Head) continue;
    reader.keep_body(kBodyBytesMax);
    begin += reader.put(bytes.substr(begin, end - begin));
  }
  return begin;
}

}  // namespace

TEST_CASE("web/request_reader: a request reads alike in slices of any size") {
  const std::string head =
      "POST /a?b=c HTTP/1.1\r\nHost: t:1\r\nX-Two:  two words \r\nExpect: 100-continue\r\n";
  const std::vector<std::string> bodies{
      "Content-Length: 5\r\n\r\nhello",
      "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"};
  RequestReader reader;
  for (const std::string& body : bodies) {
    for (std::size_t slice = 1; slice <= head.size() + body.size(); ++slice) {
      CAPTURE(slice);
      reader.restart();
      const std::string bytes = head + body + "GET /next";
      const std::size_t taken = feed(reader, bytes, slice);
      REQUIRE(reader.state() == State::Complete);
      CHECK(taken == head.size() + body.size());
      const Request request = reader.request();
      CHECK(request.method == "POST");
      CHECK(request.target == "/a?b=c");
      CHECK(request.header("host") == "t:1");
      CHECK(request.header("x-two") == "two words");
      CHECK(request.body == "hello");
      CHECK(reader.expects_continue());
      CHECK(reader.keeps_alive());
    }
  }
}

TEST_CASE("web/request_reader: a body may be handed on as it comes, and refused on the way") {
  const std::string head = "PUT /a HTTP/1.1\r\nHost: t\r\n";
  for (const std::string body :
       {"Content-Length: 10\r\n\r\n0123456789",
        "Transfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n"}) {
    for (const std::size_t most : {std::size_t{100}, std::size_t{6}}) {
      RequestReader reader;
      const std::string bytes = head + body;
      std::size_t begin = reader.put(bytes);
      REQUIRE(reader.state() == State::Head);
      CHECK(reader.request().target == "/a");
      std::string got;
      reader.hand_body([&](std::string_view piece) {
        got += piece;
        return got.size() <= most;
      });
      while (reader.state() == State::NeedsMore && begin < bytes.size()) {
        begin += reader.put(std::string_view(bytes).substr(begin));
      }
      if (most == 100) {
        CHECK(reader.state() == State::Complete);
        CHECK(got == "0123456789");
        CHECK(reader.request().body.empty());
      } else {
        CHECK(reader.state() == State::Refused);
        CHECK(reader.status() == 0);
      }
    }
  }
}

TEST_CASE("web/attack: trailers of a body are no headers") {
  const std::string bytes =
      "POST / HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 10.0.0.1\r\nTransfer-Encoding: chunked\r\n"
      "\r\n1\r\nx\r\n0\r\nX-Forwarded-For: 10.9.9.9\r\nAuthorization: Bearer y\r\n\r\n";
  for (std::size_t slice = 1; slice <= bytes.size(); ++slice) {
    CAPTURE(slice);
    RequestReader reader;
    feed(reader, bytes, slice);
    REQUIRE(reader.state() == State::Complete);
    const Request request = reader.request();
    CHECK(request.headers.size() == 3);
    CHECK(request.header("X-Forwarded-For") == "10.0.0.1");
    CHECK(request.header("Authorization").empty());
    CHECK(request.body == "x");
  }
}

TEST_CASE("web/request_reader: what is refused, and with which status") {
  struct Case {
    const char* request;
    int status;
  };

  constexpr Case kCases[] = {
      {"GET / HTTP/1.1\r\nHost: t\r\n\r\n", 0},
      {"GET / HTTP/1.0\r\n\r\n", 0},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: t\n\n", 505},  // the line has not ended yet
      {"GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505},
      {"GET / HTTP/1.1\r\nHost: t\r\nA: b\r\n c\r\n\r\n", 0},
      {"G@T / HTTP/1.1\r\nHost: t\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4194305\r\n\r\n", 413},
      {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n400001\r\n", 413},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.request));
    RequestReader reader;
    feed(reader, c.request, 1000);
    CHECK(reader.state() == (c.status == 0 ? State::Complete : State::Refused));
    CHECK(reader.status() == c.status);
  }
}

TEST_CASE("web/request_reader: connections stay open as the version and the client say") {
  struct Case {
    const char* request;
    bool keeps;
  };

  constexpr Case kCases[] = {
      {"GET / HTTP/1.1\r\nHost: t\r\n\r\n", true},
      {"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: t\r\nConnection: x, Close\r\n\r\n", false},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
  };
  RequestReader reader;
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.request));
    reader.restart();
    feed(reader, c.request, 7);
    CHECK(reader.keeps_alive() == c.keeps);
  }
}

TEST_CASE("web/request_reader: headers beyond the first memory are all there") {
  std::string bytes = "GET / HTTP/1.1\r\nHost: t\r\n";
  for (int i = 0; i < 300; ++i) {
    bytes += "X-" + std::to_string(i) + ": " + std::string(60, 'v') + std::to_string(i) + "\r\n";
  }
  RequestReader reader;
  for (int round = 0; round < 3; ++round) {
    reader.restart();
    feed(reader, bytes + "\r\n", 4000);
    REQUIRE(reader.state() == State::Complete);
    const Request request = reader.request();
    CHECK(request.headers.size() == 301);
    CHECK(request.header("X-299") == std::string(60, 'v') + "299");
  }
}

}  // namespace holdfast::web
