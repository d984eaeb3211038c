#include "web/internal/gate.h"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "tests/web/guarded.h"
#include "web/hot_files.h"
#include "web/routes.h"

namespace holdfast::web {
namespace {

using storage::Gate;
using storage::Right;
using tests::Ask;
using tests::body_of;
using tests::Guarded;
using tests::json_of;

// An answer as a client can tell it from another.
std::string shown(const Response& response) {
  std::string text = std::to_string(response.status);
  for (const auto& [name, value] : response.headers) text += "\n" + name + ": " + value;
  return text + "\n\n" + body_of(response);
}

// The same with one name in place of another.
std::string renamed(std::string text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// Routes that name a repository, with its place as "{}".
constexpr const char* kReadTargets[] = {
    "/{}/resolve/main/config.json",
    "/{}/raw/main/config.json",
    "/{}/blob/main/config.json",
    "/{}/tree/main",
    "/{}",
    "/api/models/{}",
    "/api/models/{}/revision/main",
    "/api/models/{}/tree/main",
    "/api/models/{}/refs",
    "/api/models/{}/commits/main",
    "/api/models/{}/auth-check",
    "/api/models/{}/auth-check/write",
    "/api/models/{}/discussions",
    "/api/models/{}/user-access-request/pending",
    "/-/api/v1/repositories/model/{}",
    "/-/api/v1/repositories/model/{}/evidence/main",
    "/-/api/v1/facts/model/{}/main",
    "/-/api/v1/access/model/{}",
    "/{}/info/refs?service=git-upload-pack",
    "/{}.git/info/refs?service=git-upload-pack",
    "/v2/{}/manifests/latest",
    "/v2/{}/blobs/sha256:0000000000000000000000000000000000000000000000000000000000000000",
    // What a handler refuses before it looks for the repository.
    "/api/models/{}?expand=unknown",
    "/{}/info/refs",
    "/v2/{}/blobs/foo",
};

constexpr const char* kPostTargets[] = {
    "/api/models/{}/paths-info/main",
    "/{}.git/info/lfs/objects/batch",
    "/{}.git/git-upload-pack",
    "/{}/ask-access",
    "/api/models/{}/user-access-request/handle",
    "/api/models/{}/user-access-request/grant",
    "/-/api/v1/access/model/{}",
    "/api/models/{}/preupload/main",
};

std::string at(const char* target, std::string_view repo) { return renamed(target, "{}", repo); }

}  // namespace

TEST_CASE("web/gate: every route says what it needs, once") {
  std::set<std::string_view> named;
  for (const RouteNeed& row : route_needs()) {
    CAPTURE(std::string(row.route));
    CHECK(named.insert(row.route).second);
    CHECK(std::ranges::any_of(routes(), [&](const Route& r) { return r.name == row.route; }));
  }
  for (const Route& route : routes()) {
    CAPTURE(std::string(route.name));
    CHECK(named.contains(route.name));
  }
}

TEST_CASE("web/gate: without a token nothing but health is to be had, where nobody may read") {
  const Guarded hub;
  for (const char* target : kReadTargets) {
    CAPTURE(std::string(target));
    const Response refused = hub.get(at(target, "org/tiny"));
    CHECK(refused.status == 401);
    CHECK(refused.header("X-Error-Code") == "RepoNotFound");
    CHECK(refused.header("WWW-Authenticate").starts_with("Basic "));
  }
  for (const char* target :
       {"/", "/api/models", "/api/datasets", "/api/models-tags-by-type", "/-/api/v1/repositories",
        "/-/metrics", "/-/jobs", "/-/mirrors", "/-/api/v1/jobs", "/-/api/v1/jobs/1",
        "/-/api/v1/jobs/1/log", "/-/api/v1/mirrors", "/-/api/v1/holes", "/-/api/v1/tokens",
        "/-/api/v1/users", "/-/api/v1/quotas/org", "/v2/"}) {
    CAPTURE(std::string(target));
    CHECK(hub.get(target).status == 401);
  }
  for (const char* target : {"/-/healthz", "/-/readyz", "/api/agent-harnesses"}) {
    CAPTURE(std::string(target));
    CHECK(hub.get(target).status == 200);
  }
}

TEST_CASE("web/gate: with a token everything public is to be had, by Bearer and by Basic") {
  Guarded hub;
  const std::string token = hub.token("ci");
  CHECK(hub.get_as(token, "/org/tiny/resolve/main/config.json").status == 200);
  CHECK(hub.get_as(token, "/api/models").status == 200);
  CHECK(hub.get_as(token, "/-/metrics").status == 200);
  CHECK(hub.get_as(token, "/-/api/v1/users").status == 403);
  hub.book().put_user({.name = "ann"});
  const std::string ann = hub.token("ann-1", "ann");
  CHECK(hub.get_as(ann, "/org/tiny/resolve/main/config.json").status == 200);
  CHECK(hub.get_as(ann, "/-/metrics").status == 403);
}

TEST_CASE("web/gate: a private repository is answered as one that is not there") {
  for (const bool anonymous_read : {true, false}) {
    Guarded hub({.anonymous_read = anonymous_read, .local = false});
    hub.set_private("org/tiny");
    hub.book().put_user({.name = "eve", .grants = {{"other/*", Right::Admin}}});
    hub.book().put_user({.name = "ann", .grants = {{"org/*", Right::Admin}}});
    const std::string eve = hub.token("e", "eve", Right::Admin);
    const std::string narrow = hub.token("n", "", Right::Admin, {"other/*"});
    const std::string ann = hub.token("a", "ann", Right::Admin);
    for (const std::string& token : {std::string(), eve, narrow, std::string("hf_unknown")}) {
      CAPTURE(token);
      for (const char* target : kReadTargets) {
        CAPTURE(std::string(target));
        const Response hidden = hub.get_as(token, at(target, "org/tiny"));
        CHECK((hidden.status == 404 || hidden.status == 401));
        CHECK(shown(hidden) ==
              renamed(shown(hub.get_as(token, at(target, "org/none"))), "org/none", "org/tiny"));
      }
      for (const char* target : kPostTargets) {
        CAPTURE(std::string(target));
        const auto post = [&](std::string_view repo) {
          return hub.ask_as(token, {.method = "POST", .target = at(target, repo), .body = "{}"});
        };
        CHECK(shown(post("org/tiny")) == renamed(shown(post("org/none")), "org/none", "org/tiny"));
      }
    }
    CHECK(hub.get_as(ann, "/org/tiny/resolve/main/config.json").status == 200);
    CHECK(json_of(hub.get_as(ann, "/api/models/org/tiny")).find("private")->as_bool());
    CHECK(hub.get_as(eve, "/gpt2/resolve/main/config.json").status == 200);
  }
}

TEST_CASE("web/gate: lists leave out what the caller may not see") {
  Guarded hub({.anonymous_read = true, .local = false});
  hub.set_private("org/tiny");
  hub.set_private("dataset/org/data");
  hub.book().put_user({.name = "ann", .grants = {{"org/*", Right::Read}}});
  const std::string ann = hub.token("a", "ann");
  for (const char* target : {"/", "/api/models", "/api/models?sort=lastModified",
                             "/api/models?search=tiny", "/api/models?author=org", "/api/datasets",
                             "/-/api/v1/repositories", "/-/api/v1/repositories?limit=1",
                             "/api/models-tags-by-type", "/api/models?expand=baseModels"}) {
    CAPTURE(std::string(target));
    const std::string open = body_of(hub.get(target));
    CHECK(open.find("tiny") == std::string::npos);
    CHECK(open.find("org/data") == std::string::npos);
  }
  CHECK(body_of(hub.get_as(ann, "/api/models")).find("org/tiny") != std::string::npos);
  CHECK(body_of(hub.get_as(ann, "/")).find("org/tiny") != std::string::npos);
  // A page is as long as was asked, whatever is left out of it.
  std::string ids, after;
  for (int page = 0; page < 5; ++page) {
    const Json got = json_of(hub.get("/-/api/v1/repositories?limit=1&after=" + after));
    for (const Json& row : got.find("repositories")->as_array())
      ids += row.find("id")->as_string() + " ";
    if (got.find("next") == nullptr) break;
    after = got.find("next")->as_string();
  }
  CHECK(ids == "Example/CamelCase gpt2 ");
}

TEST_CASE("web/gate: no redirect leads to a private repository's name") {
  Guarded hub({.anonymous_read = true, .local = false});
  CHECK(hub.get("/api/models/example/camelcase").status == 307);
  hub.set_private("Example/CamelCase");
  CHECK(hub.get("/api/models/example/camelcase").status == 404);
}

TEST_CASE("web/gate: a foreign token is nobody on public repositories, and wrong elsewhere") {
  Guarded hub({.anonymous_read = true, .local = false});
  hub.set_private("org/data");
  const std::string foreign = "hf_ofAnotherHub";
  CHECK(hub.get_as(foreign, "/org/tiny/resolve/main/config.json").status == 200);
  CHECK(hub.get_as(foreign, "/api/models").status == 200);
  for (const char* target :
       {"/api/models/org/none", "/org/none/resolve/main/x", "/-/api/v1/jobs", "/api/whoami-v2"}) {
    CAPTURE(std::string(target));
    const Response refused = hub.get_as(foreign, target);
    CHECK(refused.status == 401);
    CHECK(refused.header("X-Error-Message") == "Invalid credentials in Authorization header");
  }
}

TEST_CASE("web/gate: a gated repository shows itself, and keeps its files") {
  Guarded hub({.anonymous_read = true, .local = false});
  hub.set_gate("org/tiny", Gate::Manual);
  hub.book().put_user({.name = "ann"});
  hub.book().put_user({.name = "boss", .grants = {{"org/*", Right::Admin}}});
  const std::string ann = hub.token("a", "ann");
  const std::string boss = hub.token("b", "boss", Right::Admin);
  CHECK(json_of(hub.get("/api/models/org/tiny")).find("gated")->as_string() == "manual");
  CHECK(hub.get("/api/models/org/tiny/tree/main").status == 200);
  CHECK(hub.get("/org/tiny").status == 200);
  for (const char* target :
       {"/org/tiny/resolve/main/config.json", "/org/tiny/raw/main/config.json",
        "/org/tiny/blob/main/config.json", "/api/models/org/tiny/auth-check",
        "/org/tiny.git/info/refs?service=git-upload-pack", "/v2/org/tiny/manifests/latest"}) {
    CAPTURE(std::string(target));
    const Response stranger = hub.get(target);
    CHECK(stranger.status == 401);
    CHECK(stranger.header("X-Error-Code") == "GatedRepo");
    const Response known = hub.get_as(ann, target);
    CHECK(known.status == 403);
    CHECK(known.header("X-Error-Code") == "GatedRepo");
    CHECK(known.header("X-Error-Message").find("/org/tiny/ask-access") != std::string::npos);
    CHECK(hub.get_as(boss, target).status == 200);
  }
  const auto ask = [&](const std::string& token) {
    return hub.ask_as(token, {.method = "POST",
                              .target = "/org/tiny/ask-access",
                              .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                              .body = "affiliation=Example+Lab"});
  };
  CHECK(ask("").status == 401);
  CHECK(json_of(ask(ann)).find("status")->as_string() == "pending");
  const std::string file = "/org/tiny/resolve/main/config.json";
  CHECK(hub.get_as(ann, file).header("X-Error-Message").find("waits") != std::string::npos);
  const std::string requests = "/api/models/org/tiny/user-access-request/";
  CHECK(hub.get_as(ann, requests + "pending").status == 403);
  const Json pending = json_of(hub.get_as(boss, requests + "pending"));
  REQUIRE(pending.as_array().size() == 1);
  CHECK(pending.as_array()[0].find_path({"user", "user"})->as_string() == "ann");
  CHECK(pending.as_array()[0].find_path({"fields", "affiliation"})->as_string() == "Example Lab");
  const auto handle_request = [&](const std::string& token, const char* status) {
    const std::string body = R"({"user":"ann","status":")" + std::string(status) + "\"}";
    return hub.ask_as(token, {.method = "POST", .target = requests + "handle", .body = body})
        .status;
  };
  CHECK(handle_request(ann, "accepted") == 403);
  CHECK(handle_request(boss, "accepted") == 200);
  CHECK(hub.get_as(ann, file).status == 200);
  CHECK(hub.get_as(ann, "/api/models/org/tiny/auth-check").status == 200);
  CHECK(handle_request(boss, "rejected") == 200);
  CHECK(hub.get_as(ann, file).status == 403);
  // Asking again does not undo a rejection.
  CHECK(json_of(ask(ann)).find("status")->as_string() == "rejected");
  CHECK(hub.get_as(ann, file).status == 403);
}

TEST_CASE("web/gate: an automatic gate opens for who asks, and records it") {
  Guarded hub({.anonymous_read = true, .local = false});
  hub.set_gate("org/tiny", Gate::Auto);
  const std::string token = hub.token("robot");
  const Ask ask{.method = "POST", .target = "/org/tiny/ask-access"};
  CHECK(hub.get_as(token, "/org/tiny/resolve/main/config.json").status == 403);
  CHECK(json_of(hub.ask_as(token, ask)).find("status")->as_string() == "accepted");
  CHECK(hub.get_as(token, "/org/tiny/resolve/main/config.json").status == 200);
  const auto request = hub.book().find_request(storage::parse_repo_id("org/tiny"), "token:robot");
  REQUIRE(request);
  CHECK(request->decided_by == "gate");
  CHECK(request->asked_at == hub.clock.now());
  CHECK(hub.ask_as(token, {.method = "POST", .target = "/gpt2/ask-access"}).status == 400);
}

TEST_CASE("web/gate: files kept ready are as closed as the others") {
  Guarded hub({.anonymous_read = true, .local = false});
  HotFiles hot_files;
  hub.services.hot_files = &hot_files;
  const std::string target = "/org/tiny/resolve/main/config.json";
  CHECK(hub.get(target).status == 200);
  const Request request{.target = target};
  REQUIRE(handle_hot(request, hub.services));
  hub.set_private("org/tiny");
  CHECK_FALSE(handle_hot(request, hub.services));
  CHECK(hub.get(target).status == 404);
  const std::string token = hub.token("ci");
  CHECK(hub.get_as(token, target).status == 200);
  const std::string bearer = "Bearer " + token;
  const Header headers[] = {{"Authorization", bearer}};
  const Caller caller = hub.access.identify({.target = target, .headers = headers});
  CHECK(handle_hot({.target = target, .headers = headers, .caller = &caller}, hub.services));
  hub.set_private("org/tiny", false);
  hub.set_gate("org/tiny", Gate::Auto);
  CHECK_FALSE(handle_hot(request, hub.services));
}

TEST_CASE("web/gate: who am I") {
  Guarded hub;
  hub.book().put_user({.name = "ann", .grants = {{"org/*", Right::Write}, {"lab/x", Right::Read}}});
  const Json ann = json_of(hub.get_as(hub.token("laptop", "ann", Right::Write), "/api/whoami-v2"));
  CHECK(ann.find("name")->as_string() == "ann");
  CHECK(ann.find("type")->as_string() == "user");
  REQUIRE(ann.find("orgs")->as_array().size() == 1);
  CHECK(ann.find("orgs")->as_array()[0].find("name")->as_string() == "org");
  CHECK(ann.find_path({"auth", "type"})->as_string() == "access_token");
  CHECK(ann.find_path({"auth", "accessToken", "displayName"})->as_string() == "laptop");
  CHECK(ann.find_path({"auth", "accessToken", "role"})->as_string() == "write");
  const Json robot = json_of(hub.get_as(hub.token("ci"), "/api/whoami-v2"));
  CHECK(robot.find("name")->as_string() == "ci");
  CHECK(robot.find_path({"auth", "accessToken", "role"})->as_string() == "read");
  CHECK(hub.get("/api/whoami-v2").status == 401);
}

TEST_CASE("web/gate: only an administrator changes who gets in, and a token is shown once") {
  Guarded hub;
  hub.book().put_user({.name = "root", .role = Right::Admin});
  hub.book().put_user({.name = "ann"});
  hub.book().put_user({.name = "eve", .role = Right::Write, .grants = {{"*", Right::Admin}}});
  const std::string root = hub.token("r", "root", Right::Admin);
  const std::string root_write = hub.token("w", "root", Right::Write);
  const std::string root_narrow = hub.token("s", "root", Right::Admin, {"org/*"});
  const std::string eve = hub.token("e", "eve", Right::Admin);
  const auto post = [&](const std::string& token, const char* target, std::string_view body) {
    return hub.ask_as(token, {.method = "POST", .target = target, .body = body});
  };
  const char* const create = R"({"name":"new","user":"ann","scope":"write","repos":["org/*"],)"
                             R"("expires_days":30})";
  for (const std::string& token : {std::string("hf_x"), root_write, root_narrow, eve}) {
    CHECK(post(token, "/-/api/v1/tokens", create).status >= 401);
    CHECK(post(token, "/-/api/v1/users", R"({"name":"ann","role":"admin"})").status >= 401);
    CHECK(post(token, "/-/api/v1/tokens/revoke", R"({"name":"r"})").status >= 401);
    CHECK(hub.get_as(token, "/-/api/v1/users").status >= 401);
  }
  CHECK(hub.book().tokens().size() == 4);
  const Response made = post(root, "/-/api/v1/tokens", create);
  CHECK(made.status == 201);
  CHECK(made.header("Cache-Control") == "no-store");
  const std::string text = json_of(made).find("token")->as_string();
  CHECK(hub.get_as(text, "/org/tiny/resolve/main/config.json").status == 200);
  const Json list = json_of(hub.get_as(root, "/-/api/v1/tokens"));
  CHECK(list.find("tokens")->as_array().size() == 5);
  CHECK(to_text(list).find(text) == std::string::npos);
  CHECK(made.subject.find(text) == std::string::npos);
  for (const char* bad : {"", "[]", "{}", R"({"name":"x y"})", R"({"name":"x","scope":"none"})",
                          R"({"name":"x","scope":"all"})", R"({"name":"x","expires_days":0})",
                          R"({"name":"x","expires_days":"1"})", R"({"name":"x","repos":"org/*"})",
                          R"({"name":"x","repos":[1]})", R"({"name":7})"}) {
    CAPTURE(std::string(bad));
    CHECK(post(root, "/-/api/v1/tokens", bad).status == 400);
  }
  CHECK(post(root, "/-/api/v1/tokens", R"({"name":"new"})").status == 409);
  CHECK(post(root, "/-/api/v1/tokens", R"({"name":"x","user":"nobody"})").status == 404);
  CHECK(post(root, "/-/api/v1/tokens/revoke", R"({"name":"new"})").status == 200);
  CHECK(hub.get_as(text, "/org/tiny/resolve/main/config.json").status == 401);
}

TEST_CASE("web/gate: rules of a repository are changed by who manages it") {
  Guarded hub;
  hub.book().put_user({.name = "ann", .grants = {{"org/*", Right::Admin}}});
  hub.book().put_user({.name = "bob"});
  const std::string ann = hub.token("a", "ann", Right::Admin);
  const std::string bob = hub.token("b", "bob", Right::Admin);
  const auto change = [&](const std::string& token, std::string_view body) {
    return hub.ask_as(
        token, {.method = "POST", .target = "/-/api/v1/access/model/org/tiny", .body = body});
  };
  CHECK(change(bob, R"({"private":true})").status == 403);
  CHECK(change("", R"({"private":true})").status == 401);
  CHECK(change(ann, R"({"gate":"ajar"})").status == 400);
  const Json rules = json_of(change(
      ann, R"({"private":true,"gate":"manual","decide":[{"who":"bob","standing":"accepted"}]})"));
  CHECK(rules.find("private")->as_bool());
  CHECK(rules.find("gate")->as_string() == "manual");
  CHECK(rules.find("requests")->as_array()[0].find("decided_by")->as_string() == "ann");
  CHECK(change(bob, "{}").status == 404);  // the gate's acceptance is no right to see it
  CHECK(change(ann, R"({"decide":[{"who":"nobody","standing":"accepted"}]})").status == 404);
  CHECK(change(ann, R"({"private":false,"gate":"upstream"})").status == 200);
  CHECK(hub.get_as(bob, "/org/tiny/resolve/main/config.json").status == 200);
}

TEST_CASE("web/gate: two credentials, or a browser that another site sent, are refused") {
  Guarded hub;
  hub.book().put_user({.name = "root", .role = Right::Admin});
  const std::string token = "Bearer " + hub.token("r", "root", Right::Admin);
  CHECK(hub.ask({.target = "/api/models",
                 .headers = {{"Authorization", token}, {"authorization", "Bearer hf_x"}}})
            .status == 400);
  const std::string basic = "Basic eDpoZl94";  // x:hf_x
  const auto post = [&](const std::string& authorization, const char* site) {
    return hub
        .ask({.method = "POST",
              .target = "/-/api/v1/users",
              .headers = {{"Authorization", authorization}, {"Sec-Fetch-Site", site}},
              .body = R"({"name":"eve"})"})
        .status;
  };
  CHECK(post(basic, "cross-site") == 403);
  CHECK(post(basic, "same-site") == 403);
  CHECK(post(basic, "same-origin") == 401);  // only the token is wrong
  CHECK(post(token, "cross-site") == 200);   // a program put it there
  // Over plain HTTP browsers say no Sec-Fetch-Site, but Origin.
  const auto post_from = [&](const char* origin) {
    return hub
        .ask({.method = "POST",
              .target = "/-/tokens",
              .headers = {{"Authorization", basic}, {"Origin", origin}},
              .body = "name=x"})
        .status;
  };
  CHECK(post_from("http://evil.example") == 403);
}

TEST_CASE("web/gate: what upstream gates is gated here where others can reach us") {
  Guarded hub({.anonymous_read = true, .local = false, .upstream_gates = true});
  tests::publish(*hub.sample.store,
                 {.id = "org/gated", .files = {{"a", "b"}}, .facts = {}, .gated = "auto"});
  CHECK(json_of(hub.get("/api/models/org/gated")).find("gated")->as_string() == "auto");
  CHECK(hub.get("/org/gated/resolve/main/a").header("X-Error-Code") == "GatedRepo");
  hub.set_gate("org/gated", Gate::Open);
  CHECK(hub.get("/org/gated/resolve/main/a").status == 200);
  CHECK_FALSE(json_of(hub.get("/api/models/org/gated")).find("gated")->as_bool());
}

}  // namespace holdfast::web
