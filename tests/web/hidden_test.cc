// A private repository is one that is not there, for every way to ask; what was let out once is not
// let out to others; and the audit trail names what its URL does not.
#include <doctest/doctest.h>

#include "storage/base/file.h"
#include "tests/web/guarded.h"
#include "web/audit_log.h"
#include "web/hot_files.h"
#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/uploads.h"

namespace holdfast::web {
namespace {

using storage::Right;
using tests::Ask;
using tests::body_of;
using tests::Guarded;
using tests::json_of;

const std::string kDigits(64, '0');

std::string renamed(std::string text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string shown(const Response& response) {
  std::string text = std::to_string(response.status) + "\n";
  for (const auto& [name, value] : response.headers) text += name + ": " + value + "\n";
  return text + body_of(response);
}

// The hub with "org/tiny" private, and hot files as a server has them.
struct Hidden : Guarded {
  explicit Hidden(bool anonymous_read)
      : Guarded({.anonymous_read = anonymous_read, .local = false}) {
    set_private("org/tiny");
    services.hot_files = &hot_files;
    services.uploads = &uploads;
    book().put_user({.name = "ann", .grants = {{"org/*", Right::Read}}});
    member = token("member", "ann");
    book().put_user({.name = "eve"});
    stranger = token("stranger", "eve");
  }

  std::optional<Response> hot(const std::string& bearer, const std::string& target) const {
    const std::string text = "Bearer " + bearer;
    std::vector<Header> headers;
    if (!bearer.empty()) headers.push_back({"Authorization", text});
    Request request{.target = target, .headers = headers};
    Caller caller = services.access->identify(request);
    request.caller = &caller;
    return handle_hot(request, services);
  }

  HotFiles hot_files;
  Uploads uploads;
  std::string member, stranger;
};

}  // namespace

TEST_CASE("web/hidden: a blob that one may have is not kept ready for others") {
  for (const bool anonymous_read : {true, false}) {
    CAPTURE(anonymous_read);
    Hidden hub(anonymous_read);
    const auto file = hub.sample.store->catalog().find_file(
        storage::parse_repo_id("org/tiny"), hub.sample.commit("org/tiny"), "model.safetensors");
    REQUIRE(file.has_value());
    const std::string target =
        "/v2/org/tiny/blobs/sha256:" + to_hex(*file->object) + "?direct=true";
    REQUIRE(hub.get_as(hub.member, target).status == 200);
    CHECK(hub.hot(hub.member, target).has_value());
    CHECK_FALSE(hub.hot("", target).has_value());
    CHECK_FALSE(hub.hot(hub.stranger, target).has_value());
    // Rules that change later are asked, too.
    hub.set_private("org/tiny", false);
    hub.set_gate("org/tiny", storage::Gate::Manual);
    CHECK_FALSE(hub.hot(hub.stranger, target).has_value());
  }
}

TEST_CASE("web/hidden: uploads tell nobody whether there is a repository") {
  Hidden hub(true);
  for (const std::string& token : {std::string(), hub.stranger, hub.member}) {
    for (const char* method : {"PUT", "POST"}) {
      for (const std::string& rest :
           {std::string("x"), kDigits,
            kDigits + "?size=1&part_bytes=0&part=0&expires=1&signature=" + kDigits}) {
        CAPTURE(rest);
        const auto send = [&](const std::string& repo) {
          const std::string target = "/" + repo + ".git/info/lfs/objects/" + rest;
          return hub.ask_as(token, {.method = method, .target = target, .body = "x"});
        };
        const Response hidden = send("org/tiny");
        CHECK(hidden.status == 403);
        CHECK(shown(hidden) == renamed(shown(send("org/none")), "org/none", "org/tiny"));
      }
    }
  }
}

TEST_CASE("web/hidden: arguments are looked at after the repository") {
  Hidden hub(true);
  for (const std::string& token : {std::string(), hub.stranger}) {
    for (const char* body : {"[", "{}", R"({"paths":7})"}) {
      for (const char* target : {"/api/models/{}/paths-info/main", "/{}.git/info/lfs/objects/batch",
                                 "/api/models/{}/preupload/main", "/{}.git/git-upload-pack"}) {
        CAPTURE(std::string(target));
        const auto send = [&](const std::string& repo) {
          const std::string path = renamed(target, "{}", repo);
          return hub.ask_as(token, {.method = "POST",
                                    .target = path,
                                    .headers = {{"Content-Type", "application/json"}},
                                    .body = body});
        };
        CHECK(shown(send("org/tiny")) == renamed(shown(send("org/none")), "org/none", "org/tiny"));
      }
    }
  }
}

TEST_CASE("web/hidden: who may only write makes no rules laxer, and learns no private name") {
  Hidden hub(true);
  hub.services.names = &hub.names;
  hub.book().put_rules(storage::parse_repo_id("org/gone"),
                       {.is_private = true, .gate = storage::Gate::Manual});
  hub.book().put_user(
      {.name = "writer", .grants = {{"org/*", Right::Write}, {"lab/*", Right::Write}}});
  const std::string writer = hub.token("writer", "writer", Right::Write);
  const auto create = [&](const std::string& token, const char* body) {
    return hub.ask_as(token, {.method = "POST", .target = "/api/repos/create", .body = body});
  };
  CHECK(create(writer, R"({"name":"org/gone","files":[{"path":"../x","content":""}]})").status ==
        400);
  CHECK(create(writer, R"({"name":"org/gone"})").status == 200);
  const auto rules = hub.book().rules(storage::parse_repo_id("org/gone"));
  CHECK(rules.is_private);
  CHECK(rules.gate == storage::Gate::Manual);
  // "eve" may write in a namespace of which somebody has a private one, in another case.
  hub.book().put_user({.name = "Org"});
  const Response taken = create(hub.token("other", "Org", Right::Write), R"({"name":"Org/tiny"})");
  CHECK(taken.status == 409);
  CHECK(body_of(taken).find("org/tiny") == std::string::npos);
}

TEST_CASE("web/hidden: a refusal keeps what programs read, whoever asks for a page") {
  Hidden hub(false);
  const Response page = hub.ask({.target = "/org/tiny", .headers = {{"Accept", "text/html,*/*"}}});
  CHECK(page.status == 401);
  CHECK_FALSE(page.header("WWW-Authenticate").empty());
  CHECK(page.header("Content-Type").starts_with("text/html"));
  CHECK_FALSE(page.header("Content-Security-Policy").empty());
  const Response probed =
      hub.ask_as(hub.stranger, {.target = "/org/tiny", .headers = {{"Accept", "text/html,*/*"}}});
  CHECK(probed.status == 404);
  CHECK(probed.subject == kHidden);
}

TEST_CASE("web/oci_sign_in: registry clients are asked for credentials, and get nobody's without") {
  Hidden hub(true);
  const Response root = hub.get("/v2/");
  CHECK(root.status == 401);
  CHECK(root.header("WWW-Authenticate") ==
        R"(Bearer realm="http://127.0.0.1/-/oci/token",service="holdfast")");
  const auto token_for = [&](const std::string& credentials) {
    std::vector<Header> headers;
    if (!credentials.empty()) headers.push_back({"Authorization", credentials});
    return hub.ask({.target = "/-/oci/token?service=holdfast&scope=repository:org/tiny:pull",
                    .headers = headers});
  };
  const Response given = token_for("Bearer " + hub.member);
  CHECK(json_of(given).find("token")->as_string() == hub.member);
  CHECK(given.header("Cache-Control") == "no-store");
  const std::string nobody = json_of(token_for("")).find("token")->as_string();
  // What skopeo does next, with each of them.
  for (const std::string& token : {hub.member, nobody}) {
    CHECK(hub.get_as(token, "/v2/").status == 200);
    CHECK(hub.get_as(token, "/v2/gpt2/manifests/latest").status == 404);
  }
  CHECK(hub.get_as(hub.member, "/v2/org/tiny/manifests/latest").status == 200);
  const Response hidden = hub.get_as(nobody, "/v2/org/tiny/manifests/latest");
  CHECK(hidden.status == 401);
  CHECK(hidden.header("X-Error-Code") == "RepoNotFound");
  CHECK(token_for("Bearer hf_wrong").status == 401);
  CHECK(hub.get_as("hf_wrong", "/v2/").status == 401);
}

TEST_CASE("web/audit_log: changes name what their URL does not") {
  Guarded hub;
  const std::string admin = hub.token("root", "", Right::Admin);
  const auto post = [&](const std::string& token, const char* method, const std::string& target,
                        const char* body) {
    return hub.ask_as(token, {.method = method, .target = target, .body = body});
  };
  CHECK(post(admin, "POST", "/api/repos/create", R"({"name":"me/new"})").subject == "model/me/new");
  CHECK(post(hub.token("reader"), "POST", "/api/repos/create", R"({"name":"me/x"})").subject ==
        "model/me/x");
  CHECK(post(admin, "PUT", "/api/models/me/new/settings", R"({"private":true})").subject ==
        "private");
  CHECK(post(admin, "POST", "/api/models/me/new/tag/main", R"({"tag":"v1"})").subject ==
        "refs/tags/v1");
  CHECK(post(admin, "POST", "/api/repos/move", R"({"fromRepo":"me/new","toRepo":"me/old"})")
            .subject == "model/me/new -> model/me/old");
  CHECK(post(admin, "DELETE", "/api/repos/delete", R"({"name":"me/old"})").subject ==
        "model/me/old");
}

TEST_CASE("web/answers: who a proxy speaks for is believed of proxies on the list only") {
  const tests::Asking hub;
  const std::vector<Header> headers{{"Host", "hub.internal"},
                                    {"X-Forwarded-Host", "evil.example.org"},
                                    {"X-Forwarded-Proto", "https"}};

  struct Case {
    bool forwarded;
    const char* start;
  };

  for (const Case& c :
       {Case{false, "<http://hub.internal/"}, Case{true, "<https://evil.example.org/"}}) {
    Request request{.target = "/api/models?limit=1", .headers = headers};
    request.forwarded = c.forwarded;
    CHECK(handle(request, hub.services).header("Link").starts_with(c.start));
  }
}

}  // namespace holdfast::web
