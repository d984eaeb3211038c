#include "mirror/http_client.h"

#include <doctest/doctest.h>

#include "mirror/internal/file_body.h"
#include "storage/base/error.h"
#include "tests/fakes/hub_imposter_http.h"

namespace holdfast::mirror {
namespace {

using fakes::Wire;
using fakes::WireRequest;
using fakes::WireServer;

std::string local(const WireServer& server, const std::string& target = "/") {
  return "http://127.0.0.1:" + std::to_string(server.port()) + target;
}

void answer(Wire& wire, const std::string& head, const std::string& body) {
  wire.send("HTTP/1.1 " + head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
            body);
}

HttpConfig config_for(const std::string& endpoint) {
  HttpConfig config;
  config.endpoint = parse_url(endpoint);
  config.environment = [](const char*) { return std::nullopt; };
  return config;
}

TEST_CASE("mirror/http_client: a proxy gets the whole address and no token of another origin") {
  Sync<std::vector<WireRequest>> seen;
  const WireServer proxy([&](const WireRequest& request, Wire& wire) {
    seen.lock()->push_back(request);
    answer(wire, "200 OK\r\n", "through");
  });
  HttpConfig config = config_for("http://hub.example.org");
  config.proxy = local(proxy);
  config.token = "hf_secret";
  HttpClient client(config);
  for (const char* const url : {"http://hub.example.org/a", "http://cdn.example.org/b"}) {
    TextBody body;
    CHECK(client.get({.url = parse_url(url), .body_max = 100}, body, {}).status == 200);
    CHECK(body.text == "through");
  }
  const auto requests = *seen.lock();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].target == "http://hub.example.org/a");
  CHECK(requests[0].headers.find("authorization") == "Bearer hf_secret");
  CHECK(requests[1].target == "http://cdn.example.org/b");
  CHECK_FALSE(requests[1].headers.find("authorization"));
}

TEST_CASE("mirror/http_client: a public endpoint leads to no private address") {
  bool asked = false;
  const WireServer server([&](const WireRequest&, Wire& wire) {
    asked = true;
    answer(wire, "200 OK\r\n", "inside");
  });
  HttpClient client(config_for("http://203.0.113.1"));
  TextBody body;
  CHECK_THROWS_WITH_AS(client.get({.url = parse_url(local(server)), .body_max = 100}, body, {}),
                       doctest::Contains("private address"), Error);
  CHECK_FALSE(asked);
}

TEST_CASE("mirror/http_client: a configured CA that is not there is an error, not a default") {
  const WireServer server([](const WireRequest&, Wire& wire) { wire.close(); });
  HttpConfig config = config_for("https://127.0.0.1:" + std::to_string(server.port()));
  config.ca_file = "/nonexistent/ca.pem";
  HttpClient client(config);
  TextBody body;
  try {
    client.get({.url = config.endpoint, .body_max = 100}, body, {});
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(to_text(error.kind()) == to_text(ErrorKind::Denied));
  }
}

TEST_CASE("mirror/http_client: limits hold for heads, bodies and error pages") {
  std::string head = "200 OK\r\n", body_text = "x";
  const WireServer server([&](const WireRequest&, Wire& wire) { answer(wire, head, body_text); });
  HttpClient client(config_for(local(server)));
  const auto get = [&] {
    TextBody body;
    return client.get({.url = parse_url(local(server)), .body_max = 100}, body, {});
  };
  CHECK(get().status == 200);
  body_text = std::string(101, 'x');
  CHECK_THROWS_WITH_AS(get(), doctest::Contains("longer than 100"), Error);
  head = "404 X\r\n";
  body_text = std::string(1 << 20, 'e');
  const HttpResponse missing = get();
  CHECK(missing.status == 404);
  CHECK(missing.error_body.size() == 16 << 10);
  head = "200 OK\r\n";
  for (int i = 0; i < 2'000; ++i) head += "X-Filler: " + std::string(50, 'h') + "\r\n";
  CHECK_THROWS_WITH_AS(get(), doctest::Contains("headers"), Error);
}

TEST_CASE("mirror/http_client: ten redirects are followed, eleven are not") {
  const WireServer server([](const WireRequest& request, Wire& wire) {
    const int left = std::stoi(request.target.substr(1));
    if (left == 0) return answer(wire, "200 OK\r\n", "there");
    answer(wire, "302 X\r\nLocation: " + std::to_string(left - 1) + "\r\n", "");
  });
  HttpClient client(config_for(local(server)));
  const auto get = [&](const char* target) {
    TextBody body;
    return client.get({.url = parse_url(local(server, target)), .body_max = 100}, body, {});
  };
  const HttpResponse response = get("/10");
  CHECK(response.redirects.size() == 10);
  CHECK(response.url.target == "/0");
  CHECK_THROWS_WITH_AS(get("/11"), doctest::Contains("redirects"), Error);
  CHECK(client.requests() == 11 + 11);
}

TEST_CASE("mirror/http_client: a sink that throws ends the request, and the client lives on") {
  struct Refusing final : BodySink {
    void begin(const HttpResponse&) override {}

    void write(std::span<const std::byte>) override { fail(ErrorKind::NoSpace, "full"); }
  };

  const WireServer server([](const WireRequest&, Wire& wire) {
    answer(wire, "200 OK\r\n", std::string(8 << 20, 'x'));
  });
  HttpClient client(config_for(local(server)));
  for (int i = 0; i < 40; ++i) {
    Refusing sink;
    CHECK_THROWS_WITH_AS(
        client.get({.url = parse_url(local(server)), .body_max = 9 << 20}, sink, {}), "full",
        Error);
  }
  TextBody body;
  client.get({.url = parse_url(local(server)), .body_max = 9 << 20}, body, {});
  CHECK(body.text.size() == 8 << 20);
}

}  // namespace
}  // namespace holdfast::mirror
