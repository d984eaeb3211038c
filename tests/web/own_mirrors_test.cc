#include <array>

#include <doctest/doctest.h>

#include "tests/web/asking.h"
#include "web/handler.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using tests::Ask;
using tests::Asking;
using tests::body_of;
using tests::json_of;

constexpr std::string_view kTarget = "/-/api/v1/webhooks/hub";
constexpr std::string_view kPayload =
    R"({"event":{"action":"update","scope":"repo.content"},)"
    R"("repo":{"type":"model","name":"org/m","headSha":"<script>"},"webhook":{"version":3}})";

Response hint(const Asking& hub, std::string_view secret, std::string_view body = kPayload) {
  return hub.ask({.method = "POST",
                  .target = kTarget,
                  .headers = {{"X-Webhook-Secret", secret}},
                  .body = body});
}

}  // namespace

TEST_CASE("web/own_mirrors: a hint with the secret queues one check, whatever it claims") {
  Asking hub;
  hub.services.webhook_secret = "s3cret";
  CHECK(hint(hub, "s3cret").status == 202);
  CHECK(json_of(hint(hub, "s3cret")).find("queued")->as_bool());
  const auto jobs = hub.sample.store->jobs().list(10);
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].kind == "mirror");
  CHECK(to_text(Json(jobs[0].parameters)) == R"({"only":"model/org/m","repo":"model/org/m"})");
}

TEST_CASE("web/own_mirrors: a hint that comes while one is followed is followed after it") {
  Asking hub;
  hub.services.webhook_secret = "s3cret";
  storage::JobQueue& jobs = hub.sample.store->jobs();
  hint(hub, "s3cret");
  const std::array<std::string_view, 1> kinds = {"mirror"};
  jobs.run_next(kinds,
                [&](const storage::Job&, storage::JobContext&) {
                  hint(hub, "s3cret");
                  hint(hub, "s3cret");
                  return Json::Object();
                },
                {});
  const auto all = jobs.list(10);
  REQUIRE(all.size() == 2);
  CHECK(all[0].state == storage::JobState::Queued);
  CHECK(all[0].parameters == all[1].parameters);
}

TEST_CASE("web/own_mirrors: hints without the secret, or about nothing, queue nothing") {
  Asking hub;
  CHECK(hint(hub, "").status == 404);  // none is configured
  hub.services.webhook_secret = "s3cret";
  for (const std::string_view wrong : {"", "s3cre", "s3cret ", "S3cret"}) {
    CAPTURE(std::string(wrong));
    CHECK(hint(hub, wrong).status == 403);
  }

  struct Case {
    std::string_view body;
    int status;
  };

  for (const Case& c : {Case{"", 400}, Case{"{", 400}, Case{"[]", 400}, Case{"{}", 400},
                        Case{R"({"repo":{"type":"model","name":"../x"}})", 400},
                        Case{R"({"repo":{"type":"model","name":7}})", 400},
                        Case{R"({"repo":{"type":"space","name":"org/m"}})", 202}}) {
    CAPTURE(std::string(c.body));
    CHECK(hint(hub, "s3cret", c.body).status == c.status);
  }
  CHECK(hub.sample.store->jobs().list(10).empty());
}

TEST_CASE("web/own_mirrors: the state of the mirrors is shown as it is given, safely") {
  Asking hub;
  CHECK(to_text(json_of(hub.get("/-/api/v1/mirrors"))) == R"({"mirrors":[]})");
  CHECK(body_of(hub.get("/-/mirrors")).find("[[mirror]]") != std::string::npos);
  hub.services.mirrors = [] {
    return Json::Object{{"mirrors", Json::Array{Json::Object{{"repo", "Qwen/<b>*"},
                                                             {"holes", 3},
                                                             {"error", "upstream is down"},
                                                             {"failures", 2},
                                                             {"active", false},
                                                             {"tried_at", "2026-01-01T10:11:12Z"},
                                                             {"done_at", nullptr},
                                                             {"next_at", "2026-01-02"}}}}};
  };
  CHECK(json_of(hub.get("/-/api/v1/mirrors")).find("mirrors")->as_array().size() == 1);
  const std::string page = body_of(hub.get("/-/mirrors"));
  CHECK(page.find("Qwen/&lt;b&gt;*") != std::string::npos);
  CHECK(page.find("Failed 2 times; the last time: upstream is down") != std::string::npos);
  CHECK(page.find("2026-01-01 10:11 UTC") != std::string::npos);
  CHECK(page.find(R"(<a href="#holes">3</a>)") != std::string::npos);
}

TEST_CASE("web/own_mirrors: the page says what is missing, since when and why") {
  Asking hub;
  storage::Catalog& catalog = hub.sample.store->catalog();
  for (const storage::Hole& hole : catalog.holes()) {
    catalog.clear_hole(hole.repo, hole.commit, hole.path);
  }
  CHECK(body_of(hub.get("/-/mirrors")).find(R"(id="holes")") == std::string::npos);
  std::vector<storage::Hole> holes;
  for (int i = 0; i < 203; ++i) {
    holes.push_back({.repo = {.owner = "org", .name = "m" + std::to_string(i)},
                     .commit = {},
                     .path = "",
                     .reason = "upstream <says> no",
                     .since = Time(std::chrono::hours(i))});
  }
  catalog.put_holes(holes);
  const std::string page = body_of(hub.get("/-/mirrors"));
  CHECK(page.find("upstream &lt;says&gt; no") != std::string::npos);
  CHECK(page.find("org/m202<") != std::string::npos);
  CHECK(page.find("org/m2<") == std::string::npos);  // the oldest
  CHECK(page.find("And 3 more") != std::string::npos);
}

TEST_CASE("web/own_mirrors: metrics of other parts stand behind our own") {
  Asking hub;
  hub.services.more_metrics = [] { return std::string("holdfast_mirror_holes 3\n"); };
  CHECK(body_of(hub.get("/-/metrics")) == "holdfast_mirror_holes 3\n");
}

}  // namespace holdfast::web
