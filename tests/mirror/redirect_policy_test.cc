#include "mirror/redirect_policy.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

TEST_CASE("mirror/redirect_policy: own host on any port, listed suffixes, nothing else") {
  struct Case {
    const char *endpoint, *target;
    bool allowed;
  };

  const Case cases[] = {
      {"https://huggingface.co", "https://huggingface.co/x", true},
      {"https://huggingface.co", "https://cdn-lfs-us-1.hf.co/x", true},
      {"https://huggingface.co", "https://us.aws.cdn.hf.co/x", true},
      {"https://huggingface.co", "https://nothf.co/x", false},
      {"https://huggingface.co", "https://hf.co.evil.org/x", false},
      {"https://huggingface.co", "http://huggingface.co/x", false},
      {"https://huggingface.co", "https://127.0.0.1/x", false},
      {"https://huggingface.co", "https://169.254.169.254/latest", false},
      {"https://hub.corp:8443", "https://hub.corp:9000/x", true},
      {"https://hub.corp", "https://cdn.hub.corp/x", false},
      {"http://127.0.0.1:8080", "http://127.0.0.1:9999/x", true},
      {"http://127.0.0.1:8080", "http://10.0.0.1/x", false},
      {"http://127.0.0.1:8080", "https://cdn.hf.co/x", true},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.endpoint) + " -> " + c.target);
    const RedirectPolicy policy{.endpoint = parse_url(c.endpoint)};
    const Url from = parse_url(c.endpoint), to = parse_url(c.target);
    if (c.allowed) {
      CHECK_NOTHROW(check_redirect(policy, from, to));
    } else {
      CHECK_THROWS_WITH_AS(check_redirect(policy, from, to), doctest::Contains("refused"), Error);
    }
  }
}

TEST_CASE("mirror/redirect_policy: a listed private address needs a private endpoint") {
  RedirectPolicy policy{.endpoint = parse_url("https://hub.example.org"),
                        .host_suffixes = {"10.0.0.5"}};
  const Url to = parse_url("https://10.0.0.5/x");
  CHECK_THROWS_AS(check_redirect(policy, policy.endpoint, to), Error);
  policy.endpoint_is_private = true;
  CHECK_NOTHROW(check_redirect(policy, policy.endpoint, to));
}

TEST_CASE("mirror/redirect_policy: which hosts are private") {
  for (const char* const host : {"localhost",
                                 "a.localhost",
                                 "127.0.0.1",
                                 "10.1.2.3",
                                 "172.16.0.1",
                                 "172.31.255.255",
                                 "192.168.1.1",
                                 "169.254.169.254",
                                 "100.64.0.1",
                                 "0.0.0.0",
                                 "224.0.0.1",
                                 "::1",
                                 "::",
                                 "fe80::1",
                                 "fd00::1",
                                 "::ffff:127.0.0.1",
                                 "64:ff9b::10.0.0.1",
                                 "ff02::1",
                                 "2130706433",
                                 "0x7f.1"}) {
    CAPTURE(std::string(host));
    CHECK(is_private_host(host));
  }
  for (const char* const host : {"huggingface.co", "8.8.8.8", "172.32.0.1", "100.128.0.1",
                                 "2606:4700::1111", "::ffff:8.8.8.8", "localhost.example.org"}) {
    CAPTURE(std::string(host));
    CHECK_FALSE(is_private_host(host));
  }
}

}  // namespace
}  // namespace holdfast::mirror
