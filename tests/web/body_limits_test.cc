#include "web/internal/body_limits.h"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "tests/web/route_paths.h"
#include "tests/web/writing.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

struct Reason {
  std::string_view route;
  std::size_t bytes_max;
};

// Rows whose bodies may be long. One that comes to stand here says why in body_limits.cc, and is
// for whoever may write, sign in or read; what anybody may send is short.
constexpr Reason kReasons[] = {
    {"paths-info", kBodyBytesMax},      {"preupload", kBodyBytesMax},
    {"repo-create", kBodyBytesMax},     {"validate-yaml", kBodyBytesMax},
    {"git-upload-pack", kBodyBytesMax}, {"enqueue", kBodyBytesMax},
    {"lfs-batch", kListBodyBytes},      {"lfs-complete", kListBodyBytes},
    {"squash", kListBodyBytes},         {"token-create", kListBodyBytes},
    {"user-set", kListBodyBytes},       {"webhook", kListBodyBytes},
};

}  // namespace

TEST_CASE("web/body_limits: no row takes a long body without a reason") {
  std::set<std::string_view> long_ones;
  for (const Route& route : routes()) {
    CAPTURE(std::string(route.name));
    const auto most = body_bytes_max(route);
    const bool kept = takes_body(Match{.route = &route}) && route.receive == nullptr;
    REQUIRE(most.has_value() == kept);
    if (!most) continue;
    const auto* reason = std::ranges::find(kReasons, route.name, &Reason::route);
    const bool is_long = reason != std::end(kReasons);
    CHECK(*most == (is_long ? reason->bytes_max : kSmallBodyBytes));
    if (is_long) long_ones.insert(route.name);
  }
  CHECK(long_ones.size() == std::size(kReasons));
}

TEST_CASE("web/body_limits: a longer body is refused by its head, and where that says nothing") {
  tests::Writing hub;
  hub.create("me/new");
  for (const Route& route : routes()) {
    const auto most = body_bytes_max(route);
    if (!most) continue;
    const std::string target = tests::path_of(route.pattern, "me/new");
    CAPTURE(target);
    const auto found = match(route.method, target);
    REQUIRE(found);
    const auto refused = [&](std::size_t bytes, const std::string& body) {
      const std::string said = std::to_string(bytes);
      std::vector<Header> headers;
      if (body.empty()) headers.push_back({"Content-Length", said});
      const Request request{.method = route.method,
                            .target = target,
                            .headers = headers,
                            .body = body,
                            .trusted = true};
      if (!body.empty()) return handle(request, hub.services, found).status == 413;
      const auto answer = refuse_head(request, hub.services, found);
      return answer && answer->status == 413;
    };
    CHECK_FALSE(refused(*most, ""));
    CHECK(refused(*most + 1, ""));
    CHECK(refused(0, std::string(*most + 1, 'x')));
  }
}

}  // namespace holdfast::web
