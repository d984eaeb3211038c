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

TEST_CASE("web/attack: a last chunk may come in any pieces, and be looked at again") {
  for (const std::string body : {"0\r\n\r\n", "0;x=y\r\n\r\n", "1\r\nx\r\n0\r\n\r\n",
                                 "0\r\nA: b\r\n\r\n", "000000\r\n\r\n"}) {
    CAPTURE(body);
    const std::string head = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    RequestReader reader;
    REQUIRE(reader.put(head) == head.size());
    reader.keep_body(100);
    std::size_t begin = 0;
    for (std::size_t end = 1; end <= body.size(); ++end) {
      CHECK(reader.state() == State::NeedsMore);
      for (int again = 0; again < 2; ++again) {
        begin += reader.put(std::string_view(body).substr(begin, end - begin));
      }
    }
    CHECK(reader.state() == State::Complete);
    CHECK(begin == body.size());
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
  for (int i = 0; i < 200; ++i) {
    bytes += "X-" + std::to_string(i) + ": " + std::string(60, 'v') + std::to_string(i) + "\r\n";
  }
  RequestReader reader;
  for (int round = 0; round < 3; ++round) {
    reader.restart();
    feed(reader, bytes + "\r\n", 4000);
    REQUIRE(reader.state() == State::Complete);
    const Request request = reader.request();
    CHECK(request.headers.size() == 201);
    CHECK(request.header("X-199") == std::string(60, 'v') + "199");
  }
}

TEST_CASE("web/attack: fields have a number that they may have, before a body and behind it") {
  const auto fields = [](std::size_t count) {
    std::string lines;
    for (std::size_t i = 0; i < count; ++i) lines += "A:\r\n";
    return lines;
  };
  const std::string get = "GET / HTTP/1.1\r\nHost: t\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";

  struct Case {
    std::string request;
    int status;
  };

  for (const Case& c : {Case{get + fields(kHeaderFieldsMax - 1) + "\r\n", 0},
                        Case{get + fields(kHeaderFieldsMax) + "\r\n", 431},
                        Case{post + fields(kHeaderFieldsMax - 2) + "\r\n", 0},
                        Case{post + fields(kHeaderFieldsMax - 1) + "\r\n", 431}}) {
    CAPTURE(c.request.size());
    for (const std::size_t slice : {std::size_t{1}, std::size_t{1000}, std::size_t{100'000}}) {
      RequestReader reader;
      feed(reader, c.request, slice);
      CHECK(reader.state() == (c.status == 0 ? State::Complete : State::Refused));
      CHECK(reader.status() == c.status);
    }
  }
  RequestReader early;
  early.put(get + fields(3000));
  CHECK(early.status() == 431);
}

TEST_CASE("web/attack: a body has a length that nobody can dispute") {
  struct Case {
    const char* headers;
    int status;
  };

  for (const Case& c :
       {Case{"Transfer-Encoding: chunked\r\n", 0}, Case{"Transfer-Encoding: Chunked\r\n", 0},
        Case{"Content-Length: 5\r\nContent-Length: 5\r\n", 0},
        Case{"Transfer-Encoding: identity\r\n", 400}, Case{"Transfer-Encoding: gzip\r\n", 400},
        Case{"Transfer-Encoding: gzip, chunked\r\n", 400},
        Case{"Transfer-Encoding: chunked, gzip\r\n", 400},
        Case{"Transfer-Encoding: chunked, chunked\r\n", 400},
        Case{"Transfer-Encoding: xchunked\r\n", 400},
        Case{"Transfer-Encoding: \"chunked\"\r\n", 400}, Case{"Transfer-Encoding:\r\n", 400},
        Case{"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 400},
        Case{"Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", 400},
        Case{"Content-Length: 5\r\nTransfer-Encoding: gzip\r\n", 400}}) {
    CAPTURE(std::string(c.headers));
    const std::string head = "POST / HTTP/1.1\r\nHost: t\r\n" + std::string(c.headers) + "\r\n";
    RequestReader reader;
    feed(reader, head + (head.find("Length") == head.npos ? "5\r\nhello\r\n0\r\n\r\n" : "hello"),
         7);
    CHECK(reader.state() == (c.status == 0 ? State::Complete : State::Refused));
    CHECK(reader.status() == c.status);
    if (c.status == 0) CHECK(reader.request().body == "hello");
  }
  RequestReader old;
  feed(old, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1000);
  CHECK(old.status() == 400);
}

TEST_CASE("web/attack: a folded line is a part of its value, and no header of its own") {
  struct Case {
    const char* headers;
    int status;
    std::size_t fields;
    const char* value;  // of A
  };

  for (const Case& c :
       {Case{"A: b\r\n c\r\n", 0, 2, "b c"},
        Case{"A: b\r\n\tContent-Length: 5\r\n", 0, 2, "b Content-Length: 5"},
        Case{"A: b\r\n Transfer-Encoding: chunked\r\n", 0, 2, "b Transfer-Encoding: chunked"},
        Case{"A: b\r\n Host: other\r\n", 0, 2, "b Host: other"},
        Case{"Content-Length: 1\r\n 2\r\n", 400, 0, ""},
        Case{"Transfer-Encoding: gzip,\r\n chunked\r\n", 400, 0, ""}}) {
    CAPTURE(std::string(c.headers));
    RequestReader reader;
    feed(reader, "GET / HTTP/1.1\r\nHost: t\r\n" + std::string(c.headers) + "\r\n", 1000);
    CHECK(reader.state() == (c.status == 0 ? State::Complete : State::Refused));
    CHECK(reader.status() == c.status);
    if (c.status != 0) continue;
    CHECK(reader.request().headers.size() == c.fields);
    CHECK(reader.request().header("A") == c.value);
  }
}

TEST_CASE("web/request_reader: a body that nobody wants is read and forgotten, up to a bound") {
  for (const std::string body :
       {"Content-Length: 10\r\n\r\n0123456789",
        "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"}) {
    for (const std::uint64_t most : {10ULL, 9ULL}) {
      CAPTURE(most);
      RequestReader reader;
      const std::string bytes = "GET / HTTP/1.1\r\nHost: t\r\n" + body;
      std::size_t begin = reader.put(bytes);
      REQUIRE(reader.state() == State::Head);
      CHECK(reader.body_bytes().value_or(10) == 10);
      reader.drop_body(most);
      while (reader.state() == State::NeedsMore && begin < bytes.size()) {
        begin += reader.put(std::string_view(bytes).substr(begin));
      }
      CHECK(reader.state() == (most == 10 ? State::Complete : State::Refused));
      CHECK(reader.status() == (most == 10 ? 0 : 413));
      CHECK(reader.request().body.empty());
    }
  }
}

TEST_CASE("web/attack: long bodies share what there is for all of them, short ones need none") {
  MemoryBudget budget(100'000);
  const auto send = [&](BudgetShare& share, std::size_t size_bytes) {
    RequestReader reader;
    const std::string bytes =
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(size_bytes) + "\r\n\r\n" +
        std::string(size_bytes, 'x');
    std::size_t begin = reader.put(bytes);
    reader.keep_body(kBodyBytesMax, &share);
    while (reader.state() == State::NeedsMore && begin < bytes.size()) {
      begin += reader.put(std::string_view(bytes).substr(begin, 10'000));
    }
    return reader.status();
  };
  {
    BudgetShare first(&budget), second(&budget), third(&budget);
    CHECK(send(first, kSmallBodyBytes + 60'000) == 0);
    CHECK(send(second, kSmallBodyBytes + 60'000) == 503);
    CHECK(send(third, kSmallBodyBytes) == 0);
    CHECK_FALSE(budget.take(40'001));
  }
  CHECK(budget.take(100'000));
}

}  // namespace holdfast::web
