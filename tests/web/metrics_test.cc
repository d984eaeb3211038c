#include "web/metrics.h"

#include <array>
#include <limits>

#include <doctest/doctest.h>

#include "tests/web/raw_client.h"
#include "tests/web/wait_until.h"
#include "web/exposition.h"

namespace holdfast::web {
namespace {

using namespace std::chrono_literals;
using tests::RawClient;
using tests::Running;

// Whether the text has this line.
bool has(const std::string& text, std::string_view line) {
  return ("\n" + text).find("\n" + std::string(line) + "\n") != std::string::npos;
}

std::string text_of(const Running& hub) { return hub.client().ask("GET", "/-/metrics").body; }

// Until the server's text has this line.
void wait_for(const Running& hub, std::string_view line) {
  std::string text;
  CAPTURE(line);
  INFO(text);
  REQUIRE(tests::wait_until([&] {
    text = text_of(hub);
    return has(text, line);
  }));
}

}  // namespace

TEST_CASE("web/exposition: every type as the text form has it") {
  Exposition out;
  out.family("a_total", Exposition::Type::Counter, "All of a");
  out.sample({{"x", "say \"hi\"\\\n"}, {"y", ""}}, 7);
  out.family("b_seconds", Exposition::Type::Summary, "Time");
  out.summary({}, 2, 0.25);
  out.family("c_seconds", Exposition::Type::Histogram, "Time");
  out.histogram(
      {{"x", "1"}},
      {{.most = 0.0001, .count = 1}, {.most = std::numeric_limits<double>::infinity(), .count = 3}},
      0.5);
  out.single("d", Exposition::Type::Gauge, "One", 1'800'000'000);
  CHECK(out.take() ==
        "# HELP a_total All of a\n# TYPE a_total counter\n"
        "a_total{x=\"say \\\"hi\\\"\\\\\\n\",y=\"\"} 7\n"
        "# HELP b_seconds Time\n# TYPE b_seconds summary\nb_seconds_count 2\nb_seconds_sum 0.25\n"
        "# HELP c_seconds Time\n# TYPE c_seconds histogram\n"
        "c_seconds_count{x=\"1\"} 3\nc_seconds_sum{x=\"1\"} 0.5\n"
        "c_seconds_bucket{x=\"1\",le=\"0.0001\"} 1\nc_seconds_bucket{x=\"1\",le=\"+Inf\"} 3\n"
        "# HELP d One\n# TYPE d gauge\nd 1800000000\n");
}

TEST_CASE("web/metrics: whatever clients send, a label has few values") {
  struct Row {
    Metrics::Sample sample;
    std::string_view labels;
  };

  const std::array rows{
      Row{{.route = "resolve", .status = 206}, R"(route="resolve",method="GET",code="206")"},
      Row{{.route = "resolve", .method = "HEAD", .status = 404},
          R"(route="resolve",method="HEAD",code="404")"},
      Row{{.route = "commit", .method = "POST", .status = 507},
          R"(route="commit",method="POST",code="507")"},
      Row{{.route = "healthz", .method = "BREW", .status = 405},
          R"(route="healthz",method="other",code="405")"},
      Row{{.route = "healthz", .method = "", .status = 200},
          R"(route="healthz",method="other",code="200")"},
      Row{{.route = "/etc/passwd", .status = 200}, R"(route="none",method="GET",code="200")"},
      Row{{.route = "tree", .status = 299}, R"(route="tree",method="GET",code="other")"},
      Row{{.route = "info", .status = 100'000}, R"(route="info",method="GET",code="other")"},
      Row{{.route = "refs", .status = -1}, R"(route="refs",method="GET",code="other")"}};
  for (const Row& row : rows) {
    CAPTURE(row.labels);
    Metrics metrics;
    metrics.count(row.sample);
    const std::string text = metrics.to_text();
    CHECK(has(text, "holdfast_http_requests_total{" + std::string(row.labels) + "} 1"));
    const auto first = text.find("\nholdfast_http_requests_total{");
    CHECK(text.find("\nholdfast_http_requests_total{", first + 1) == text.npos);
  }
}

TEST_CASE("web/metrics: times are in the bucket of their length and all above") {
  Metrics metrics;
  for (const std::chrono::nanoseconds took : {1ns, 1'000'000ns, 1'000'001ns, 400'000'000'000ns}) {
    metrics.count({.route = "resolve", .sent_bytes = 10, .took = took});
  }
  const std::string text = metrics.to_text();
  const std::string name = "holdfast_http_request_duration_seconds";
  CHECK(has(text, name + "_bucket{route=\"resolve\",le=\"0.0001\"} 1"));
  CHECK(has(text, name + "_bucket{route=\"resolve\",le=\"0.001\"} 2"));
  CHECK(has(text, name + "_bucket{route=\"resolve\",le=\"0.005\"} 3"));
  CHECK(has(text, name + "_bucket{route=\"resolve\",le=\"300\"} 3"));
  CHECK(has(text, name + "_bucket{route=\"resolve\",le=\"+Inf\"} 4"));
  CHECK(has(text, name + "_count{route=\"resolve\"} 4"));
  CHECK(text.find("\n" + name + "_sum{route=\"resolve\"} 400.002") != text.npos);
  CHECK(has(text, "holdfast_http_response_bytes_total{route=\"resolve\"} 40"));
}

TEST_CASE("web/metrics: what the store had is told from what upstream had") {
  Metrics metrics;
  const auto count = [&](std::string_view route, int status, Held held) {
    metrics.count({.route = route, .status = status, .held = held});
  };
  count("resolve", 200, Held::Whole);
  count("resolve", 304, Held::Whole);
  count("resolve", 404, Held::Whole);  // nobody has it, or nobody was asked
  count("whoami", 200, Held::Whole);   // never upstream's business
  count("resolve", 206, Held::Part);
  count("resolve", 404, Held::Part);
  count("model-page", 202, Held::Nothing);
  count("info", 504, Held::Nothing);
  const std::string text = metrics.to_text();
  CHECK(has(text, "holdfast_cache_requests_total{result=\"hit\"} 2"));
  CHECK(has(text, "holdfast_cache_requests_total{result=\"partial\"} 2"));
  CHECK(has(text, "holdfast_cache_requests_total{result=\"miss\"} 2"));
}

TEST_CASE("web/metrics: a request is under way until its answer is sent or its client is gone") {
  Metrics metrics;
  const auto under_way = [&](std::string_view number) {
    return has(metrics.to_text(), "holdfast_http_inflight_requests " + std::string(number));
  };
  {
    Metrics::InFlight one(&metrics);
    Metrics::InFlight other = std::move(one);
    CHECK(under_way("1"));
    one = Metrics::InFlight(&metrics);
    CHECK(under_way("2"));
    other = {};
    CHECK(under_way("1"));
  }
  CHECK(under_way("0"));

  const Running hub;
  {
    RawClient client = hub.client();
    REQUIRE(
        client.send("POST /api/validate-yaml HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n"));
    wait_for(hub, "holdfast_http_inflight_requests 2");
  }
  wait_for(hub, "holdfast_http_inflight_requests 1");
}

TEST_CASE("web/metrics: tokens that nobody has are counted by how they were brought") {
  const Running hub;
  RawClient client = hub.client();
  client.ask("GET", "/api/models", "Authorization: Bearer hf_nobodys\r\n");
  client.ask("GET", "/api/models", "Authorization: Bearer hf_nobodys\r\n");
  client.ask("GET", "/api/models", "Authorization: basic eDpoZl9ub2JvZHlz\r\n");
  client.ask("GET", "/api/models");
  const std::string form = "token=hf_nobodys";
  REQUIRE(
      client.send("POST /-/login HTTP/1.1\r\nHost: t\r\nOrigin: http://t\r\nContent-Type: "
                  "application/x-www-form-urlencoded\r\nContent-Length: " +
                  std::to_string(form.size()) + "\r\n\r\n" + form));
  CHECK(client.next().status == 403);
  const std::string text = text_of(hub);
  CHECK(has(text, "holdfast_auth_failures_total{method=\"bearer\"} 2"));
  CHECK(has(text, "holdfast_auth_failures_total{method=\"basic\"} 1"));
  CHECK(has(text, "holdfast_auth_failures_total{method=\"form\"} 1"));
}

}  // namespace holdfast::web
