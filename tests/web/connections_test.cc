#include "web/internal/connections.h"

#include <vector>

#include <doctest/doctest.h>

#include "web/limits.h"

namespace holdfast::web {
namespace {

using Whose = Connections::Whose;
using Places = std::vector<Connections::Place>;

// So many as there are for him.
std::size_t fill(Connections& connections, Places& places, Whose whose,
                 const std::string& address) {
  for (std::size_t count = 0;; ++count) {
    auto place = connections.take(whose, address);
    if (!place) return count;
    places.push_back(*std::move(place));
  }
}

}  // namespace

TEST_CASE("web/connections: one client gets a share, and others still find room") {
  Metrics metrics;
  Connections connections(1600, &metrics);
  CHECK(connections.share() == 200);
  Places one, two;
  CHECK(fill(connections, one, Whose::Client, "10.0.0.1") == 200);
  CHECK(fill(connections, two, Whose::Client, "10.0.0.2") == 200);
  CHECK(connections.open() == 400);
  one.pop_back();
  CHECK(connections.take(Whose::Client, "10.0.0.1"));
  one.clear();
  CHECK(connections.open() == 200);
  CHECK(fill(connections, one, Whose::Client, "10.0.0.1") == 200);
  const std::string text = metrics.to_text();
  CHECK(text.find("\nholdfast_http_connections 400\n") != text.npos);
  CHECK(text.find("\nholdfast_http_connections_refused_total{reason=\"client\"} 3\n") != text.npos);
  CHECK(text.find("\nholdfast_http_connections_refused_total{reason=\"all\"} 0\n") != text.npos);
}

TEST_CASE("web/connections: a network of IPv6 is one client, and IPv4 in it is IPv4") {
  struct Case {
    const char* first;
    const char* second;
    bool same;
  };

  for (const Case& c :
       {Case{"2001:db8::1", "2001:db8::ffff:2", true},
        Case{"2001:db8::1", "2001:db8:0:1::1", false}, Case{"::ffff:10.0.0.1", "10.0.0.1", true},
        Case{"::ffff:10.0.0.1", "::ffff:10.0.0.2", false}}) {
    CAPTURE(std::string(c.first));
    Connections connections(800, nullptr);
    Places places;
    REQUIRE(fill(connections, places, Whose::Client, c.first) == 100);
    CHECK(connections.take(Whose::Client, c.second).has_value() != c.same);
  }
}

TEST_CASE("web/connections: proxies have no share, the operator no bound") {
  Metrics metrics;
  Connections connections(800, &metrics);
  Places strangers, own;
  CHECK(fill(connections, strangers, Whose::Proxy, "10.0.0.1") == 800);
  CHECK_FALSE(connections.take(Whose::Client, "10.0.0.2"));
  for (int i = 0; i < 100; ++i) {
    auto place = connections.take(Whose::Operator, "unix");
    REQUIRE(place);
    own.push_back(*std::move(place));
  }
  CHECK(connections.open() == 900);
  CHECK_FALSE(connections.take(Whose::Client, "10.0.0.2"));
  strangers.pop_back();
  CHECK(connections.take(Whose::Client, "10.0.0.2"));
  CHECK(metrics.to_text().find("refused_total{reason=\"all\"} 3\n") != std::string::npos);
}

TEST_CASE("web/connections: a small server gives one client what it has") {
  for (const std::size_t most : {std::size_t{1}, std::size_t{2}, kConnectionsOfOneMin}) {
    Connections connections(most, nullptr);
    Places places;
    CHECK(fill(connections, places, Whose::Client, "10.0.0.1") == most);
  }
  CHECK(Connections(10 * kConnectionsOfOneMin, nullptr).share() == 80);
  CHECK(Connections(2 * kConnectionsOfOneMin, nullptr).share() == kConnectionsOfOneMin);
}

}  // namespace holdfast::web
