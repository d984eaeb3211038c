#include <array>
#include <atomic>
#include <optional>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/web/asking.h"
#include "tests/web/wrapped_store.h"
#include "web/handler.h"
#include "web/metrics.h"

namespace holdfast::web {
namespace {

using tests::Ask;
using tests::Asking;
using tests::body_of;
using tests::json_of;

const Ask kEnqueue{
    .method = "POST",
    .target = "/-/api/v1/jobs",
    .body = "{\"kind\":\"sync\",\"key\":\"model/org/tiny\",\"parameters\":{\"n\":1}}",
    .trusted = true};

class Unwritable final : public tests::WrappedStore {
 public:
  Unwritable(storage::Store& store, std::optional<ErrorKind> kind)
      : WrappedStore(store), kind_(kind) {}

  void check_writable() override {
    if (kind_) fail(*kind_, "/secret/staging: it does not work");
  }

 private:
  std::optional<ErrorKind> kind_;
};

}  // namespace

TEST_CASE("web/own_api: health, readiness, metrics") {
  Asking hub;
  CHECK(body_of(hub.get("/-/healthz")) == "ok\n");
  CHECK(json_of(hub.get("/-/readyz")).find("ready")->as_bool());
  CHECK(json_of(hub.get("/-/readyz")).as_object().find("reason")->is_null());
  Metrics metrics;
  metrics.count({.route = "resolve", .status = 206, .sent_bytes = 42});
  hub.services.metrics = &metrics;
  const std::string text = body_of(hub.get("/-/metrics"));
  CHECK(text.find("holdfast_http_response_bytes_total{route=\"resolve\"} 42") != std::string::npos);
}

TEST_CASE("web/own_api: a server that cannot take anything in says why; alive it is all the same") {
  struct Row {
    std::string_view reason;
    bool draining = false;
    std::optional<ErrorKind> store = {};
  };

  const std::array rows{Row{.reason = "draining", .draining = true},
                        Row{.reason = "store", .store = ErrorKind::Io},
                        Row{.reason = "no_space", .store = ErrorKind::NoSpace}};
  for (const Row& row : rows) {
    CAPTURE(row.reason);
    Asking hub;
    Unwritable store(*hub.sample.store, row.store);
    const std::atomic<bool> draining = row.draining;
    const Services services{.store = store, .version = "test", .draining = &draining};
    const auto ask = [&](std::string_view target) {
      return handle(Request{.target = target}, services);
    };
    const Response refused = ask("/-/readyz");
    CHECK(refused.status == 503);
    CHECK_FALSE(json_of(refused).find("ready")->as_bool());
    CHECK(json_of(refused).find("reason")->as_string() == row.reason);
    CHECK(body_of(refused).find("/secret") == std::string::npos);
    CHECK(ask("/-/healthz").status == 200);
    CHECK(hub.get("/-/readyz").status == 200);
  }
}

TEST_CASE("web/own_api: repositories page through models and datasets") {
  const Asking hub;
  std::string ids;
  std::string after;
  for (int page = 0; page < 6; ++page) {
    const Json got = json_of(hub.get("/-/api/v1/repositories?limit=1&after=" + after));
    for (const Json& row : got.find("repositories")->as_array())
      ids += row.find("id")->as_string() + " ";
    if (got.find("next") == nullptr) break;
    after = got.find("next")->as_string();
  }
  CHECK(ids == "Example/CamelCase gpt2 org/tiny org/data ");
}

TEST_CASE("web/own_api: a repository with everything that is known of it") {
  const Asking hub;
  const std::string commit = to_hex(hub.sample.commit("org/tiny"));
  const Json got = json_of(hub.get("/-/api/v1/repositories/model/org/tiny"));
  CHECK(got.find("origin")->as_string() == "https://upstream.example.org");
  CHECK(got.find("refs")->as_array().size() == 3);
  CHECK(got.find("revisions")->as_array().size() == 1);
  CHECK(got.find("files")->as_array().size() == 10);
  CHECK(got.find("commit")->as_string() == commit);
  const Json evidence =
      json_of(hub.get("/-/api/v1/repositories/model/org/tiny/evidence/" + commit));
  CHECK(evidence.find_path({"evidence", "endpoint"})->as_string() ==
        "https://upstream.example.org");
  const Json facts = json_of(hub.get("/-/api/v1/facts/model/org/tiny/main?prefix=file/"));
  CHECK(facts.find("facts")->as_object().size() == 1);
  const Json holes = json_of(hub.get("/-/api/v1/holes"));
  CHECK(holes.find("holes")->as_array()[0].find("reason")->as_string() == "upstream says 403");
}

TEST_CASE(
    "web/own_api: what upstream did is shown, and a hole whose commit nobody knows has none") {
  const Asking hub;
  const auto events = [&] {
    const Json got = json_of(hub.get("/-/api/v1/repositories/model/org/tiny"));
    return got.find("upstream_events")->as_array();
  };
  CHECK(events().empty());
  const storage::RepoId repo{.owner = "org", .name = "tiny"};
  const Json event = Json::Object{{"time", "2026-01-02T03:04:05.000Z"},
                                  {"kind", "ref-deleted"},
                                  {"details", Json::Object{{"ref", "refs/tags/v1"}}}};
  const std::pair<std::string, Json> fact("mirror", Json::Object{{"events", Json::Array{event}}});
  hub.sample.store->catalog().put_facts(repo, GitOid{}, {&fact, 1});
  CHECK(events() == Json::Array{event});
  const storage::Hole hole{.repo = {.owner = "a", .name = "absent"},
                           .reason = "no such repository"};
  hub.sample.store->catalog().put_holes({&hole, 1});
  const Json holes = json_of(hub.get("/-/api/v1/holes"));
  const Json& first = holes.find("holes")->as_array()[0];
  CHECK(first.find("id")->as_string() == "a/absent");
  CHECK(first.as_object().find("commit")->is_null());
}

TEST_CASE("web/own_jobs: only the socket may ask for work") {
  const Asking hub;
  Ask stranger = kEnqueue;
  stranger.trusted = false;
  CHECK(hub.ask(stranger).status == 403);
  CHECK(hub.sample.store->jobs().list(10).empty());

  const Response made = hub.ask(kEnqueue);
  CHECK(made.status == 201);
  const auto id = std::to_string(json_of(made).find("id")->as_uint());
  CHECK(json_of(hub.ask(kEnqueue)).find("id")->as_uint() == json_of(made).find("id")->as_uint());
  const std::string target = "/-/api/v1/jobs/" + id;
  const Json job = json_of(hub.ask({.target = target, .trusted = true}));
  CHECK(job.find("state")->as_string() == "queued");
  CHECK(job.find_path({"parameters", "n"})->as_int() == 1);
  const Json seen = json_of(hub.get(target));
  CHECK(seen.find("state")->as_string() == "queued");
  CHECK(seen.find("parameters") == nullptr);
  CHECK(seen.find("key") == nullptr);
  CHECK(json_of(hub.get("/-/api/v1/jobs")).find("jobs")->as_array().size() == 1);
  CHECK(json_of(hub.get("/-/api/v1/jobs/" + id + "/log")).find("lines")->is_array());

  const std::string cancel = "/-/api/v1/jobs/" + id + "/cancel";
  CHECK(hub.ask({.method = "POST", .target = cancel}).status == 403);
  const Json cancelled = json_of(hub.ask({.method = "POST", .target = cancel, .trusted = true}));
  CHECK(cancelled.find("state")->as_string() == "cancelled");
  const std::string retry = "/-/api/v1/jobs/" + id + "/retry";
  const Json again = json_of(hub.ask({.method = "POST", .target = retry, .trusted = true}));
  CHECK(again.find("state")->as_string() == "queued");
  CHECK(hub.get("/-/api/v1/jobs/999").status == 404);
}

TEST_CASE("web/own_jobs: bad requests name the field") {
  const Asking hub;
  for (const char* body : {"", "{", "[]", "{\"kind\":\"sync\"}", "{\"kind\":1,\"key\":\"k\"}",
                           "{\"kind\":\"sync\",\"key\":\"k\",\"parameters\":[]}"}) {
    CAPTURE(std::string(body));
    Ask ask = kEnqueue;
    ask.body = body;
    const Response got = hub.ask(ask);
    CHECK(got.status == 400);
    CHECK(body_of(got).find("request body") != std::string::npos);
  }
}

TEST_CASE("web/own_jobs: a long poll waits only for news of a job that can still have some") {
  const Asking hub;
  const auto id = std::to_string(json_of(hub.ask(kEnqueue)).find("id")->as_uint());
  const std::string path = "/-/api/v1/jobs/" + id;
  const std::string seen = json_of(hub.get(path)).find("updated_at")->as_string();
  CHECK(hub.get(path).wait_max.count() == 0);
  CHECK(hub.get(path + "?after=" + seen + "&wait=500").wait_max.count() == 500);
  CHECK(hub.get(path + "?after=" + seen + "&wait=99999999").wait_max.count() == 30'000);
  CHECK(hub.get(path + "?after=2001-01-01T00:00:00.000Z&wait=500").wait_max.count() == 0);
  CHECK(hub.get(path + "?after=" + seen + "&wait=soon").status == 400);
  hub.sample.store->jobs().cancel(std::stoull(id));
  const std::string last = json_of(hub.get(path)).find("updated_at")->as_string();
  CHECK(hub.get(path + "?after=" + last + "&wait=500").wait_max.count() == 0);
}

}  // namespace holdfast::web
