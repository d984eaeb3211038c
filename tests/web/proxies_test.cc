#include "web/proxies.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"

namespace holdfast::web {

TEST_CASE("web/proxies: X-Forwarded-For counts only from those on the list") {
  struct Case {
    const char* name;
    std::vector<std::string> trusted;
    const char* peer;
    const char* header;
    const char* client;
  };

  for (const Case& c : {
           Case{"no list", {}, "10.0.0.1", "1.2.3.4", "10.0.0.1"},
           Case{"not on it", {"10.0.0.2"}, "10.0.0.1", "1.2.3.4", "10.0.0.1"},
           Case{"on it", {"10.0.0.1"}, "10.0.0.1", "1.2.3.4", "1.2.3.4"},
           Case{"no header", {"10.0.0.1"}, "10.0.0.1", "", "10.0.0.1"},
           Case{"what the client wrote itself",
                {"10.0.0.1"},
                "10.0.0.1",
                "9.9.9.9, 1.2.3.4",
                "1.2.3.4"},
           Case{"two proxies", {"10.0.0.0/8"}, "10.0.0.1", "9.9.9.9, 1.2.3.4, 10.1.1.1", "1.2.3.4"},
           Case{"all proxies", {"10.0.0.0/8"}, "10.0.0.1", "10.2.2.2, 10.1.1.1", "10.2.2.2"},
           Case{"edge of a range", {"10.0.0.0/9"}, "10.127.255.255", "1.2.3.4", "1.2.3.4"},
           Case{"behind the edge", {"10.0.0.0/9"}, "10.128.0.0", "1.2.3.4", "10.128.0.0"},
           Case{"everyone", {"0.0.0.0/0"}, "10.0.0.1", "1.2.3.4", "1.2.3.4"},
           Case{"IPv6", {"fd00::/8"}, "fd12::1", "2001:db8::7", "2001:db8::7"},
           Case{"IPv6 beside it", {"fd00::/8"}, "fe80::1", "2001:db8::7", "fe80::1"},
           Case{"IPv4 in IPv6", {"10.0.0.1"}, "::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"},
           Case{"a port", {"10.0.0.1"}, "10.0.0.1", "1.2.3.4:99", "1.2.3.4"},
           Case{"a port of IPv6", {"10.0.0.1"}, "10.0.0.1", "[2001:db8::7]:99", "2001:db8::7"},
           Case{"no address", {"10.0.0.1"}, "10.0.0.1", "1.2.3.4, unknown", "10.0.0.1"},
           Case{"nothing between commas", {"10.0.0.1"}, "10.0.0.1", "1.2.3.4,,", "10.0.0.1"},
           Case{"a socket file", {"10.0.0.1"}, "unix", "1.2.3.4", "unix"},
       }) {
    CAPTURE(std::string(c.name));
    CHECK(TrustedProxies(c.trusted).client_of(c.peer, c.header) == c.client);
  }
}

TEST_CASE("web/proxies: what is no range is refused by name") {
  for (const char* bad : {"", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "fd00::/129",
                          "host", "10.0.0.0/8/8", "10.0.0.0/-1"}) {
    CAPTURE(std::string(bad));
    CHECK_THROWS_AS(TrustedProxies({bad}), Error);
  }
}

}  // namespace holdfast::web
