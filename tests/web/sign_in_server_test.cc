// Signing in by the wire: what proxies are told of answers to a session, and a server that starts
// again.
#include <optional>

#include <doctest/doctest.h>

#include "tests/web/guarded.h"
#include "tests/web/raw_client.h"
#include "web/server.h"

namespace holdfast::web {
namespace {

using tests::RawClient;

constexpr std::string_view kFile = "/org/tiny/resolve/main/config.json";

ServerOptions options() {
  return {.listen = "127.0.0.1:0",
          .threads = 1,
          .guards = {.anonymous_read = false},
          .version = "test"};
}

// The cookie that a sign-in gives, as a header line.
std::string sign_in(const Server& server, const std::string& token) {
  RawClient client(server.port());
  const std::string body = "token=" + token;
  client.send(
      "POST /-/login HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n" + body);
  const std::string set = client.next().header("Set-Cookie");
  return "Cookie: " + set.substr(0, set.find(';')) + "\r\n";
}

}  // namespace

TEST_CASE("web/sign_in_server: a session outlives the server, and no cache keeps its answers") {
  tests::SampleStore sample;
  const std::string token = tests::add_token(*sample.store->access(), {.name = "ci"});
  std::optional<Server> server(std::in_place, options(), *sample.store);
  server->start();
  const std::string cookie = sign_in(*server, token);
  // The second answer is one that was kept ready (hot_files.h).
  for (int round = 0; round < 2; ++round) {
    const auto file = RawClient(server->port()).ask("GET", kFile, cookie);
    CHECK(file.status == 200);
    CHECK(file.head.find("\r\nCache-Control: private\r\n") != std::string::npos);
  }
  CHECK(RawClient(server->port()).ask("GET", kFile).status == 401);
  server->drain(std::chrono::seconds(5));
  server.emplace(options(), *sample.store);
  server->start();
  CHECK(RawClient(server->port()).ask("GET", kFile, cookie).status == 200);
  sample.store->access()->remove_token("ci");
  CHECK(RawClient(server->port()).ask("GET", kFile, cookie).status == 401);
}

}  // namespace holdfast::web
