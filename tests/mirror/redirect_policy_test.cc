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

TEST_CASE("mirror/redirect_policy: a private address is allowed where a range lists it") {
  RedirectPolicy policy{.endpoint = parse_url("https://hub.example.org"),
                        .host_suffixes = {"10.1.2.3", "10.2.0.1", "fd12::1"}};
  policy.allow_private = {*parse_address_range("10.1.0.0/16"), *parse_address_range("fd00::/8")};
  for (const char* const url : {"https://10.1.2.3/x", "https://[fd12::1]/x"}) {
    CAPTURE(std::string(url));
    CHECK_NOTHROW(check_redirect(policy, policy.endpoint, parse_url(url)));
  }
  CHECK_THROWS_WITH_AS(check_redirect(policy, policy.endpoint, parse_url("https://10.2.0.1/x")),
                       doctest::Contains("allow_private"), Error);
  // The range says which addresses, not which hosts may be led to.
  CHECK_THROWS_WITH_AS(check_redirect(policy, policy.endpoint, parse_url("https://10.1.2.4/x")),
                       doctest::Contains("redirect_hosts"), Error);
}

TEST_CASE("mirror/redirect_policy: address ranges") {
  struct Case {
    const char* range;
    const char* inside;
    const char* outside;
  };

  const Case cases[] = {{"10.1.2.3", "10.1.2.3", "10.1.2.2"},
                        {"10.1.0.0/16", "10.1.255.255", "10.2.0.0"},
                        {"172.16.0.0/12", "172.31.255.255", "172.32.0.0"},
                        {"10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"},
                        {"fd00::/8", "fdff::1", "fe00::1"},
                        {"::1", "::1", "::2"},
                        {"0.0.0.0/0", "8.8.8.8", "::1"}};
  for (const Case& c : cases) {
    CAPTURE(std::string(c.range));
    const auto range = parse_address_range(c.range);
    REQUIRE(range);
    CHECK(is_within(c.inside, {&*range, 1}));
    CHECK_FALSE(is_within(c.outside, {&*range, 1}));
    CHECK_FALSE(is_within("example.org", {&*range, 1}));
  }
  for (const char* const text : {"", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/",
                                 "10.0.0.1/8", "fd00::/129", "cdn.example.org", "10.1"}) {
    CAPTURE(std::string(text));
    CHECK_FALSE(parse_address_range(text));
  }
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
