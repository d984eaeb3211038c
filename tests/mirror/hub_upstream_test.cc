#include "mirror/hub_upstream.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/fakes/hub_imposter_http.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

using fakes::Wire;
using fakes::WireRequest;
using fakes::WireServer;

std::string at_port(const std::string& scheme, std::uint16_t port) {
  return scheme + "://127.0.0.1:" + std::to_string(port);
}

// Where nobody listens any more.
std::uint16_t deserted_port() {
  const WireServer server([](const WireRequest&, Wire& wire) { wire.close(); });
  return server.port();
}

struct Outcome {
  std::string error;
  std::vector<std::string> notes;
  std::chrono::milliseconds waited{};
};

Outcome ask(const std::string& endpoint) {
  FakePauser pauser;
  Outcome out;
  HubOptions options;
  options.http.endpoint = parse_url(endpoint);
  options.http.environment = [](const char*) { return std::nullopt; };
  options.http.connect_timeout = Milliseconds(200);
  options.pauser = &pauser;
  options.note = [&](std::string_view note) { out.notes.emplace_back(note); };
  try {
    make_hub_upstream(std::move(options))->refs({.owner = "org", .name = "m"}, false);
  } catch (const Error& error) {
    out.error = error.what();
  }
  out.waited = pauser.waited();
  return out;
}

TEST_CASE("mirror/hub_upstream: an upstream that was never reached fails at once and says why") {
  // Waits for the end of a head that a TLS client never sends.
  const WireServer plain([](const WireRequest&, Wire& wire) { wire.close(); });

  struct Case {
    const char* name;
    std::string endpoint, advice;
  };

  const Case cases[] = {
      {"nobody listens", at_port("http", deserted_port()), "a hub listens there"},
      {"no such name", "http://hub.invalid", "check the name"},
      {"no TLS there", at_port("https", plain.port()), "port and scheme"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Outcome outcome = ask(c.endpoint);
    CHECK(outcome.error.find(c.endpoint) == 0);
    CHECK(outcome.error.find(c.advice) != std::string::npos);
    CHECK(outcome.error.find("after 3 attempts") != std::string::npos);
    CHECK(outcome.waited <= std::chrono::seconds(3));
    CHECK(outcome.notes.empty());
  }
}

TEST_CASE("mirror/hub_upstream: what was reached before is waited for") {
  const std::string gone = at_port("http", deserted_port());
  const WireServer server([&](const WireRequest&, Wire& wire) {
    wire.send("HTTP/1.1 307 X\r\nLocation: " + gone + "/\r\nContent-Length: 0\r\n\r\n");
  });
  const Outcome outcome = ask(at_port("http", server.port()));
  CHECK(outcome.error.find(gone) == 0);
  CHECK(outcome.waited > std::chrono::seconds(40));
  CHECK(outcome.notes.size() > 3);
}

}  // namespace
}  // namespace holdfast::mirror
