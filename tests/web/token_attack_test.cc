// Guessing tokens, by every way in that takes one: it ends in waiting, and holds nobody else up.
#include <doctest/doctest.h>

#include "tests/web/browsing.h"
#include "web/base64.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using tests::Guarded;

std::string basic(const std::string& user, const std::string& password) {
  return "Basic " + encode_base64(user + ":" + password);
}

// How a token comes.
struct Way {
  const char* name;
  const char* method;
  const char* target;
  std::string (*authorization)(const std::string& token);
  bool form = false;  // of a browser that signs in
};

const Way kWays[] = {
    {"the hub's clients", "GET", "/api/whoami-v2",
     [](const std::string& token) { return "Bearer " + token; }},
    {"files", "GET", "/org/tiny/resolve/main/config.json",
     [](const std::string& token) { return "Bearer " + token; }},
    {"git", "GET", "/org/tiny.git/info/refs?service=git-upload-pack",
     [](const std::string& token) { return basic("git", token); }},
    {"git-lfs", "POST", "/org/tiny.git/info/lfs/objects/batch",
     [](const std::string& token) { return basic(token, token); }},
    {"registries", "GET", "/v2/", [](const std::string& token) { return "bearer " + token; }},
    {"a registry's sign-in", "GET", "/-/oci/token?service=holdfast",
     [](const std::string& token) { return basic("x", token); }},
    {"our own API", "GET", "/-/api/v1/tokens",
     [](const std::string& token) { return "Bearer " + token; }},
    {"browsers", "POST", "/-/login", nullptr, true},
};

struct Site : Guarded {
  Site() : right(token("right", "", storage::Right::Admin)) {}

  int ask_from(const Way& way, const std::string& client, const std::string& token) {
    std::vector<Header> headers;
    const std::string authorization = way.form ? "" : way.authorization(token);
    std::string body = "{}";
    if (way.form) {
      headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
      body = tests::form_of({{"token", token}});
    } else {
      headers.push_back({"Authorization", authorization});
    }
    return handle({.method = way.method,
                   .target = way.target,
                   .headers = headers,
                   .body = body,
                   .client = client},
                  services)
        .status;
  }

  // Wrong tokens until no further one is looked at; how many were.
  std::size_t guess(const Way& way, const std::string& client) {
    for (std::size_t tries = 0; tries < 3 * kWrongTokensMax; ++tries) {
      if (ask_from(way, client, "hf_" + client + std::to_string(tries)) == 429) return tries;
    }
    return 0;
  }

  std::string right;
};

}  // namespace

TEST_CASE(
    "web/attack: guesses are counted by whatever way they come, and right tokens let through") {
  for (const Way& way : kWays) {
    CAPTURE(std::string(way.name));
    Site hub;
    CHECK(hub.guess(way, "10.0.0.7") == kWrongTokensMax);
    for (const Way& other : kWays) {
      CAPTURE(std::string(other.name));
      // They count together.
      CHECK(hub.ask_from(other, "10.0.0.7", "hf_next") == 429);
      // Who has one is not held up, from there or from elsewhere; nor is a guess from elsewhere.
      for (const char* client : {"10.0.0.7", "10.0.0.8"}) {
        const int status = hub.ask_from(other, client, hub.right);
        CHECK(status != 429);
        CHECK(status != 401);
        CHECK(status != 403);
      }
      CHECK(hub.ask_from(other, "10.0.0.8", "hf_other") != 429);
    }
    hub.clock.advance(kWrongTokensWindow);
    CHECK(hub.ask_from(way, "10.0.0.7", "hf_next") != 429);
  }
}

TEST_CASE("web/attack: another address of the same network is no fresh start") {
  Site hub;
  const Way& way = kWays[0];
  CHECK(hub.guess(way, "2001:db8:1:2::1") == kWrongTokensMax);
  CHECK(hub.ask_from(way, "2001:db8:1:2:ffff::9", "hf_next") == 429);
  CHECK(hub.ask_from(way, "2001:db8:1:3::1", "hf_next") != 429);
  CHECK(hub.guess(way, "192.0.2.1") == kWrongTokensMax);
  CHECK(hub.ask_from(way, "::ffff:192.0.2.1", "hf_next") == 429);
  CHECK(hub.ask_from(way, "192.0.2.2", "hf_next") != 429);
}

TEST_CASE("web/attack: more addresses than are remembered lock nobody out") {
  Site hub;
  const Way& way = kWays[0];
  for (std::size_t i = 0; i <= kWrongTokenRowsMax; ++i) {
    const std::string client = "10." + std::to_string(i >> 16U & 255U) + "." +
                               std::to_string(i >> 8U & 255U) + "." + std::to_string(i & 255U);
    REQUIRE(hub.ask_from(way, client, "hf_x") == 401);
  }
  CHECK(hub.ask_from(way, "10.0.0.1", hub.right) == 200);
  CHECK(hub.guess(way, "192.0.2.1") == kWrongTokensMax);
}

TEST_CASE("web/attack: cookies and keys of forms cannot be guessed into a session") {
  Site hub;
  const std::string name = hub.access.sessions().cookie_name();
  const std::string value = hub.access.sessions().sign(
      {.token = sha256(as_bytes(hub.right)), .ends_at = hub.clock.now() + std::chrono::hours(1)});
  const auto status_with = [&](const std::string& cookie) {
    return hub.ask({.target = "/-/api/v1/tokens", .headers = {{"Cookie", cookie}}}).status;
  };
  REQUIRE(status_with(name + "=" + value) == 200);
  for (std::size_t at = 0; at < value.size(); at += 7) {
    std::string other = value;
    other[at] = other[at] == '0' ? '1' : '0';
    CHECK(status_with(name + "=" + other) == 401);
  }
  CHECK(status_with(name + "=" + hub.right) == 401);
  CHECK(status_with("holdfast_session=" + value) == 401);
  CHECK(status_with(name + "=" + to_hex(sha256(as_bytes(hub.right)))) == 401);
}

}  // namespace holdfast::web
