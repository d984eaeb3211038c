#include "mirror/proxy.h"

#include <map>

#include <doctest/doctest.h>

namespace holdfast::mirror {
namespace {

TEST_CASE("mirror/proxy: configuration, environment, exceptions") {
  struct Case {
    const char *url, *configured;
    std::map<std::string, std::string> environment;
    const char* proxy;
  };

  const Case cases[] = {
      {"https://hf.co/", "", {}, ""},
      {"https://hf.co/", "http://p:1", {}, "http://p:1"},
      {"https://hf.co/", "http://p:1", {{"https_proxy", "http://e:2"}}, "http://p:1"},
      {"https://hf.co/", "", {{"HTTPS_PROXY", "http://e:2"}}, "http://e:2"},
      {"http://hf.co/", "", {{"HTTPS_PROXY", "http://e:2"}}, ""},
      {"http://hf.co/", "", {{"http_proxy", "http://e:2"}}, "http://e:2"},
      {"http://hf.co/", "", {{"HTTP_PROXY", "http://cgi"}}, ""},
      {"https://hf.co/", "", {{"all_proxy", "socks5h://s:3"}}, "socks5h://s:3"},
      {"https://hf.co/", "http://p:1", {{"no_proxy", "*"}}, ""},
      {"https://cdn.hf.co/", "http://p:1", {{"no_proxy", "a.org, .hf.co"}}, ""},
      {"https://cdn.hf.co/", "http://p:1", {{"NO_PROXY", "hf.co"}}, ""},
      {"https://nothf.co/", "http://p:1", {{"no_proxy", "hf.co"}}, "http://p:1"},
      {"https://hf.co:8443/", "http://p:1", {{"no_proxy", "hf.co:8443"}}, ""},
      {"https://hf.co/", "http://p:1", {{"no_proxy", "hf.co:8443"}}, "http://p:1"},
      {"http://127.0.0.1:8080/", "http://p:1", {{"no_proxy", "localhost,127.0.0.1"}}, ""},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.url));
    CAPTURE(std::string(c.proxy));
    const Environment environment = [&](const char* name) -> std::optional<std::string> {
      const auto found = c.environment.find(name);
      if (found == c.environment.end()) return std::nullopt;
      return found->second;
    };
    CHECK(proxy_for(parse_url(c.url), c.configured, environment) == c.proxy);
  }
}

}  // namespace
}  // namespace holdfast::mirror
