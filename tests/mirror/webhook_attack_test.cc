// A receiver of webhooks that is not ours any more, and would send our POST on to what only we can
// reach: loopback, private networks, the machine's metadata service.
#include <doctest/doctest.h>

#include "mirror/internal/file_body.h"
#include "mirror/redirect_policy.h"
#include "mirror/webhooks.h"
#include "storage/base/error.h"
#include "tests/fakes/hub_imposter_http.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

using fakes::Wire;
using fakes::WireRequest;
using fakes::WireServer;

// A service on this machine that no stranger should reach; what it was asked.
struct Inside {
  Sync<std::size_t> asked{0U};
  WireServer server{[this](const WireRequest&, Wire& wire) {
    ++*asked.lock();
    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
  }};
};

// A receiver that sends everybody who comes to `location`.
struct Outside {
  Outside(int with, std::string where) : status(with), location(std::move(where)) {}

  int status;
  std::string location;
  Sync<std::size_t> asked{0U};
  WireServer server{[this](const WireRequest&, Wire& wire) {
    ++*asked.lock();
    wire.send("HTTP/1.1 " + std::to_string(status) + " X\r\nLocation: " + location +
              "\r\nContent-Length: 0\r\n\r\n");
  }};
};

// What a delivery there fails with, and what its log says.
std::string deliver(const Outside& outside) {
  const std::vector<Webhook> hooks{
      {.name = "alarm",
       .url = "http://127.0.0.1:" + std::to_string(outside.server.port()) + "/hook",
       .secret = "key",
       .events = {}}};
  FakePauser pauser;
  FakeContext context;
  std::string said;
  try {
    deliver_webhook({{"hook", "alarm"}, {"event", "hole-opened"}, {"body", "{}"}},
                    {.hooks = hooks, .pauser = &pauser}, context);
  } catch (const Error& error) {
    said = error.what();
  }
  for (const std::string& line : context.lines) said += "\n" + line;
  return said;
}

// Where a redirect would lead; "{}" is the port of the service inside.
constexpr const char* kInside[] = {
    "http://localhost:{}/",
    "http://LOCALHOST:{}/",
    "http://localhost.:{}/",
    "http://x.localhost:{}/",
    "http://[::1]:{}/",
    "http://[::ffff:127.0.0.1]:{}/",
    "http://[::ffff:7f00:1]:{}/",
    "http://[0:0:0:0:0:ffff:7f00:0001]:{}/",
    "http://[::127.0.0.1]:{}/",
    "http://[64:ff9b::7f00:1]:{}/",
    "http://2130706433:{}/",
    "http://0x7f000001:{}/",
    "http://0x7f.0x0.0x0.0x1:{}/",
    "http://0177.0.0.1:{}/",
    "http://017700000001:{}/",
    "http://127.1:{}/",
    "http://127.0.1:{}/",
    "http://127.0.0.2:{}/",
    "http://127.0.0.1.:{}/",
    "http://0.0.0.0:{}/",
    "http://0:{}/",
    "http://[::]:{}/",
    "//localhost:{}/",
    "http://127.0.0.1:{}@localhost:{}/",
    "http://localhost:{}#@127.0.0.1/",
    "http://localhost:{}\\@127.0.0.1/",
    "http://%6c%6f%63%61%6c%68%6f%73%74:{}/",
    "http://10.0.0.1/",
    "http://192.168.0.1/",
    "http://172.16.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://100.64.0.1/",
    "file:///etc/passwd",
    "gopher://localhost:{}/_x",
    "dict://localhost:{}/x",
    "ftp://localhost:{}/x",
};

std::string with_port(std::string text, std::uint16_t port) {
  for (auto at = text.find("{}"); at != text.npos; at = text.find("{}")) {
    text.replace(at, 2, std::to_string(port));
  }
  return text;
}

}  // namespace

TEST_CASE("mirror/webhooks: no redirect leads a delivery to another host, however it is written") {
  Inside inside;
  for (const char* location : kInside) {
    const Outside outside(307, with_port(location, inside.server.port()));
    CAPTURE(outside.location);
    const std::string said = deliver(outside);
    CHECK(said.find("webhook alarm: ") != std::string::npos);
    CHECK(*inside.asked.lock() == 0);
    // Nothing of where it was sent stands in a log: the address may be a secret of the network.
    CHECK(said.find("localhost") == std::string::npos);
    CHECK(said.find("://") == std::string::npos);
  }
}

TEST_CASE("mirror/webhooks: a redirect that would make a GET of the POST is not followed") {
  Inside inside;
  for (const int status : {301, 302, 303}) {
    CAPTURE(status);
    const Outside outside(status, with_port("http://127.0.0.1:{}/", inside.server.port()));
    CHECK(deliver(outside).find("webhook alarm: ") != std::string::npos);
    CHECK(*inside.asked.lock() == 0);
  }
}

TEST_CASE(
    "mirror/webhooks: a public receiver's redirects reach no private address, listed or not") {
  // As deliveries have it: no host but the hook's own; and, were there one, no private one.
  for (const bool listed : {false, true}) {
    for (const char* location : kInside) {
      CAPTURE(std::string(location));
      const Url hook = parse_url("http://hooks.example.org/in");
      RedirectPolicy policy{.endpoint = hook, .host_suffixes = {}};
      Url to;
      try {
        to = resolve(hook, with_port(location, 80));
      } catch (const Error& error) {
        CHECK(to_text(error.kind()) == to_text(ErrorKind::Invalid));
        continue;
      }
      if (listed) policy.host_suffixes = {to.host};
      // What is private by its name alone is refused here, the rest when it has been resolved.
      if (listed && !is_private_host(to.host)) continue;
      CHECK_THROWS_WITH_AS(check_redirect(policy, hook, to), doctest::Contains("refused"), Error);
    }
  }
}

TEST_CASE("mirror/webhooks: a name that resolves to a private address is refused when connecting") {
  Inside inside;
  // Each is a name, or the dotted spelling of one, that only the resolver knows for what it is.
  for (const char* host : {"localhost.", "127.0.0.1."}) {
    CAPTURE(std::string(host));
    HttpConfig config;
    config.endpoint = parse_url("http://203.0.113.1");
    config.environment = [](const char*) { return std::nullopt; };
    HttpClient client(config);
    TextBody body;
    const std::string url =
        "http://" + std::string(host) + ":" + std::to_string(inside.server.port()) + "/";
    CHECK_THROWS_AS(client.get({.url = parse_url(url), .body_max = 100}, body, {}), Error);
    CHECK(*inside.asked.lock() == 0);
  }
}

}  // namespace holdfast::mirror
