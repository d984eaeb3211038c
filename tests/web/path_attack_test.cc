// Names that lead elsewhere, by every way in that takes one. (attack_test.cc has files and trees by
// the wire, write_attack_test.cc the commit API, pushed_commits_test.cc pushes.)
#include <algorithm>
#include <filesystem>
#include <set>

#include <doctest/doctest.h>

#include "storage/base/file.h"
#include "tests/web/guarded.h"
#include "tests/web/writing.h"
#include "web/browser_session.h"
#include "web/routes.h"
#include "web/url.h"
#include "web/xet.h"

namespace holdfast::web {
namespace {

using tests::body_of;

// As they stand in a URL.
constexpr const char* kHostile[] = {"..",
                                    "../../session.key",
                                    "%2e%2e",
                                    "..%2f..%2fsession.key",
                                    "%2e%2e%2f%2e%2e%2fsession.key",
                                    "%252e%252e%252fsession.key",
                                    "..%5c..%5csession.key",
                                    "..\\session.key",
                                    "....//session.key",
                                    "%c0%ae%c0%ae%c0%afsession.key",
                                    "\xc0\xae\xc0\xae/session.key",
                                    "%ef%bc%8e%ef%bc%8e%ef%bc%8fsession.key",
                                    "%e2%80%a5/session.key",
                                    "session.key%00",
                                    "%00",
                                    "%2fetc%2fpasswd",
                                    "//etc/passwd",
                                    "file:///etc/passwd",
                                    ".git",
                                    ".git/config",
                                    ".GIT%2fconfig",
                                    "git~1",
                                    ".git%20",
                                    ".git::$INDEX_ALLOCATION",
                                    "%e2%80%8c.git",
                                    "CON",
                                    "nul.txt",
                                    "x.gguf::$DATA",
                                    "%",
                                    "%zz",
                                    "%0d%0aX-Evil:%201",
                                    "."};

// What of the URL is the client's to name, as "{}", in a repository that is there.
constexpr const char* kReads[] = {
    "/me/new/resolve/main/{}",
    "/me/new/resolve/{}/config.json",
    "/me/new/raw/main/{}",
    "/me/new/blob/main/{}",
    "/me/new/tree/{}",
    "/me/{}/resolve/main/config.json",
    "/{}/new/resolve/main/config.json",
    "/{}/tree/main",
    "/api/models/{}",
    "/api/models/me/{}",
    "/api/models/me/new/tree/main/{}",
    "/api/models/me/new/tree/{}",
    "/api/models/me/new/revision/{}",
    "/api/models/me/new/treesize/{}",
    "/api/models/me/new/commits/{}",
    "/api/models/me/new/compare/{}",
    "/api/models/me/new/user-access-request/{}",
    "/api/models/me/new/xet-read-token/{}",
    "/-/api/v1/repositories/model/{}",
    "/-/api/v1/repositories/model/me/new/evidence/{}",
    "/-/api/v1/facts/model/me/new/{}",
    "/-/api/v1/quotas/{}",
    "/-/api/v1/access/model/{}",
    "/-/static/{}",
    "/-/xet/v1/reconstructions/{}",
    "/-/xet/v2/reconstructions/{}",
    "/-/xet/xorbs/{}",
    "/me/{}/info/refs?service=git-upload-pack",
    "/me/new.git/info/lfs/objects/{}",
    "/v2/{}/manifests/latest",
    "/v2/me/{}/manifests/latest",
    "/v2/me/new/manifests/{}",
    "/v2/me/new/blobs/{}",
    "/v2/{}/tags/list",
};

std::string filled(std::string text, std::string_view with) {
  const auto hole = text.find("{}");
  if (hole != text.npos) text.replace(hole, 2, with);
  return text;
}

// A repository of ours, a guarded store with a secret beside it, and all that can be asked.
struct Site : tests::Writing {
  Site() : access({}, *sample.store->access(), clock) {
    services.access = &access;
    services.xet = &xet;
    create("me/new");
    commit("me/new",
           tests::lines({tests::kHeader,
                         R"({"key":"file","value":{"path":"config.json","content":"{}"}})"}));
    secret = to_hex(load_session_key(sample.store->directory()));
  }

  // Repositories and refs, and what lies beside the store.
  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& repository : sample.store->catalog().list_repositories({})) {
      all.insert(to_text(repository.id));
      for (const auto& ref : sample.store->catalog().refs(repository.id)) {
        all.insert(to_text(repository.id) + " " + ref.name + " " + to_hex(ref.commit));
      }
    }
    for (const auto& entry : std::filesystem::directory_iterator(sample.directory.path())) {
      all.insert(entry.path().filename().string());
    }
    return all;
  }

  void check_refused(const tests::Ask& ask) const {
    CAPTURE(std::string(ask.method) + " " + std::string(ask.target));
    CAPTURE(std::string(ask.body));
    const Response answer = ask_trusted(ask);
    CHECK(answer.status >= 400);
    CHECK(answer.status < 500);
    CHECK(body_of(answer).find(secret) == std::string::npos);
    CHECK(body_of(answer).find("root:") == std::string::npos);
    for (const auto& [name, value] : answer.headers) {
      CHECK(value.find_first_of("\r\n") == std::string::npos);
    }
  }

  tests::FakeClock clock;
  Access access;
  Xet xet{1};
  std::string secret;
};

}  // namespace

TEST_CASE("web/attack: no name in a URL leads out of the store") {
  const Site hub;
  const auto before = hub.names();
  for (const char* read : kReads) {
    CAPTURE(std::string(read));
    const auto plain = match("GET", filled(read, "plain"));
    REQUIRE(plain.has_value());
    REQUIRE(plain->route != nullptr);
    for (const char* name : kHostile) hub.check_refused({.target = filled(read, name)});
  }
  CHECK(hub.names() == before);
}

TEST_CASE("web/attack: no route with a name in its URL is left out") {
  std::set<const Route*> tried;
  for (const char* read : kReads) {
    if (const auto found = match("GET", filled(read, "plain"))) tried.insert(found->route);
  }
  for (const Route& route : routes()) {
    const std::string_view pattern = route.pattern;
    if (route.method != "GET" || pattern.find("{path}") == pattern.npos) continue;
    // Answered without a look at anything.
    if (route.name == std::string_view("telemetry") ||
        route.name == std::string_view("unknown-api"))
      continue;
    CAPTURE(std::string(pattern));
    const bool has =
        std::ranges::any_of(tried, [&](const Route* one) { return one->handler == route.handler; });
    CHECK(has);
  }
}

TEST_CASE("web/attack: no repository, branch or tag gets a name that leads elsewhere") {
  const Site hub;
  const auto before = hub.names();
  for (const char* name : {"../x",
                           "me/..",
                           "me/.",
                           "me/.git",
                           "me/x.git",
                           "me/.x",
                           "me/x.",
                           "me/-x",
                           " me/x",
                           "me/x ",
                           "me//x",
                           "me/x/y",
                           "/me/x",
                           "me/",
                           "/",
                           "",
                           "..",
                           "me/a..b",
                           "me/a--b",
                           "me/\\u0000x",
                           "me/x\\n",
                           "me/x\\u200c",
                           "me/\\uff0e\\uff0e",
                           "me\\\\x/y",
                           "me/git~1",
                           "me/a:b",
                           "me/%2e%2e",
                           "api/x",
                           "v2/x",
                           "-/x",
                           "datasets/x",
                           "spaces/x",
                           "m\\u00e9/x"}) {
    const std::string quoted = "\"" + std::string(name) + "\"";
    for (const auto& [method, target, body] :
         {std::tuple("POST", "/api/repos/create", "{\"name\":" + quoted + "}"),
          std::tuple("DELETE", "/api/repos/delete", "{\"name\":" + quoted + "}"),
          std::tuple("POST", "/api/repos/move", R"({"fromRepo":"me/new","toRepo":)" + quoted + "}"),
          std::tuple("POST", "/api/repos/move",
                     R"({"toRepo":"me/y","fromRepo":)" + quoted + "}")}) {
      hub.check_refused({.method = method, .target = target, .body = body});
    }
  }
  for (const char* name :
       {"..",        "a..b",  "%2e%2e", "a%2f..%2fb", ".git",  "a%2f.b",   "x.lock",
        "a%20b",     "a%7eb", "a%5eb",  "a%3ab",      "a%5cb", "-x",       "@",
        "a@%7b1%7d", "%00",   "a%0a",   "a%2f",       "%2fa",  "a%2f%2fb", "a."}) {
    hub.check_refused({.method = "POST",
                       .target = "/api/models/me/new/branch/" + std::string(name),
                       .body = "{}"});
    const std::string tag = percent_decode(name).value_or("");
    hub.check_refused({.method = "POST",
                       .target = "/api/models/me/new/tag/main",
                       .body = to_text(Json(Json::Object{{"tag", tag}}))});
  }
  CHECK(hub.names() == before);
}

TEST_CASE("web/attack: no list of paths or objects names what is not the repository's") {
  const Site hub;
  for (const char* name :
       {"../../session.key", "/etc/passwd", ".git/config", "..", "a/../config.json",
        "./config.json", "config.json/", "\\u0000", "config.json\\u0000"}) {
    CAPTURE(std::string(name));
    const std::string body = R"({"paths":[")" + std::string(name) + R"("]})";
    const Response paths = hub.ask_trusted({.method = "POST",
                                            .target = "/api/models/me/new/paths-info/main",
                                            .headers = {{"Content-Type", "application/json"}},
                                            .body = body});
    CHECK((body_of(paths) == "[]" || (paths.status >= 400 && paths.status < 500)));
    const Response batch = hub.post(
        "/me/new.git/info/lfs/objects/batch",
        R"({"operation":"download","objects":[{"oid":")" + std::string(name) + R"(","size":1}]})");
    CHECK(body_of(batch).find("actions") == std::string::npos);
    const Response upload = hub.post(
        "/me/new.git/info/lfs/objects/batch",
        R"({"operation":"upload","objects":[{"oid":")" + std::string(name) + R"(","size":1}]})");
    CHECK(body_of(upload).find("actions") == std::string::npos);
    hub.check_refused(
        {.method = "POST",
         .target = "/api/models/me/new/commit/main",
         .body = tests::lines({tests::kHeader, R"({"key":"lfsFile","value":{"path":")" +
                                                   std::string(name) + R"(","oid":")" +
                                                   std::string(64, 'a') + "\"}}"})});
  }
}

}  // namespace holdfast::web
