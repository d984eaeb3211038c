// One user's token on another's repositories, tokens and rights: every route that could change
// something has to stand here.
#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "tests/web/guarded.h"
#include "tests/web/writing.h"
#include "web/routes.h"
#include "web/uploads.h"

namespace holdfast::web {
namespace {

using storage::Right;
using tests::json_of;
using tests::kHeader;

const std::string kOid(64, 'a');

// Refused: nothing of it happens. Harmless: it may be answered, and is about nothing of another's.
enum class Answer { Refused, Harmless };

struct Attempt {
  const char* method;
  std::string target;  // "{}" is the repository
  std::string body;    // there too
  Answer answer = Answer::Refused;
};

std::string with_repo(std::string text, std::string_view repo) {
  for (auto at = text.find("{}"); at != text.npos; at = text.find("{}", at + repo.size())) {
    text.replace(at, 2, repo);
  }
  return text;
}

std::vector<Attempt> attempts() {
  const std::string batch =
      R"({"operation":"upload","objects":[{"oid":")" + kOid + R"(","size":1}]})";
  const std::string commit =
      tests::lines({kHeader, R"({"key":"file","value":{"path":"x","content":"x"}})"});
  return {
      {"POST", "/api/models/{}/commit/main", commit},
      {"POST", "/api/models/{}/preupload/main", R"({"files":[]})"},
      {"POST", "/api/models/{}/branch/b", "{}"},
      {"DELETE", "/api/models/{}/branch/main", ""},
      {"POST", "/api/models/{}/tag/main", R"({"tag":"t"})"},
      {"DELETE", "/api/models/{}/tag/t", ""},
      {"POST", "/api/models/{}/super-squash/main", ""},
      {"PUT", "/api/models/{}/settings", R"({"private":false,"gated":false})"},
      {"POST", "/api/models/{}/user-access-request/handle",
       R"({"user":"eve","status":"accepted"})"},
      {"POST", "/api/models/{}/user-access-request/grant", R"({"user":"eve"})"},
      {"POST", "/api/repos/create", R"({"name":"ann/x"})"},
      {"POST", "/api/repos/create", R"({"name":"x","organization":"ann"})"},
      {"POST", "/api/repos/create", R"({"name":"Ann/M"})"},
      {"DELETE", "/api/repos/delete", R"({"name":"{}"})"},
      {"POST", "/api/repos/move", R"({"fromRepo":"{}","toRepo":"eve/y"})"},
      {"POST", "/api/repos/move", R"({"fromRepo":"eve/m","toRepo":"ann/y"})"},
      {"POST", "/api/repos/move", R"({"fromRepo":"eve/m","toRepo":"{}"})"},
      {"POST", "/{}.git/git-receive-pack", "0000"},
      {"POST", "/{}.git/info/lfs/objects/batch", batch},
      {"PUT", "/{}.git/info/lfs/objects/" + kOid, "x"},
      {"POST", "/{}.git/info/lfs/objects/" + kOid, "{}"},
      {"POST", "/{}.git/info/lfs/verify", R"({"oid":")" + kOid + R"(","size":1})"},
      {"POST", "/-/api/v1/access/model/{}", R"({"private":false,"gate":"open"})"},
      {"POST", "/-/access/model/{}", "who=eve&standing=accepted"},
      {"POST", "/-/api/v1/jobs", R"({"kind":"remove","key":"{}","parameters":{"repo":"{}"}})"},
      {"POST", "/-/api/v1/jobs/1/cancel", ""},
      {"POST", "/-/api/v1/jobs/1/retry", ""},
      {"POST", "/-/jobs/1/cancel", ""},
      {"POST", "/-/jobs/1/retry", ""},
      {"POST", "/-/api/v1/tokens", R"({"name":"x","user":"ann","scope":"admin"})"},
      {"POST", "/-/api/v1/tokens", R"({"name":"x","user":"","scope":"admin"})",
       Answer::Harmless},  // too
      {"POST", "/-/api/v1/tokens/revoke", R"({"name":"anns"})"},
      {"POST", "/-/tokens", "name=y&user=ann&scope=admin", Answer::Harmless},  // his own
      {"POST", "/-/tokens/revoke", "name=anns"},
      {"POST", "/-/api/v1/users", R"({"name":"ann","role":"none"})"},
      {"POST", "/-/api/v1/users", R"({"name":"eve","role":"admin"})"},
      {"POST", "/-/api/v1/users/remove", R"({"name":"ann"})"},
      {"POST", "/-/api/v1/webhooks/hub", R"({"repo":{"type":"model","name":"{}"}})"},
      {"GET", "/{}.git/info/refs?service=git-receive-pack", ""},
      {"GET", "/api/models/{}/auth-check/write", ""},
      {"GET", "/api/models/{}/user-access-request/pending", ""},
      {"GET", "/-/api/v1/access/model/{}", ""},
      {"GET", "/-/access/model/{}", ""},
      {"GET", "/-/api/v1/quotas/ann", ""},
      {"POST", "/api/models/{}/paths-info/main", R"({"paths":["x"]})", Answer::Harmless},
      {"POST", "/{}.git/git-upload-pack", "0000", Answer::Harmless},
      {"POST", "/{}/ask-access", "", Answer::Harmless},
      {"POST", "/-/ask-access/model/{}", "", Answer::Harmless},
      {"POST", "/api/validate-yaml", R"({"content":"{}"})", Answer::Harmless},
      {"POST", "/-/login", "token=hf_x", Answer::Harmless},
      {"POST", "/-/logout", "", Answer::Harmless},
  };
}

// "ann" has a public and a private repository; "eve" has one of hers, and all rights there.
struct Neighbours : tests::Guarded {
  Neighbours() {
    services.uploads = &uploads;
    for (const char* user : {"ann", "eve"}) book().put_user({.name = user});
    book().put_user({.name = "guest", .grants = {{"ann/*", Right::Read}}});
    ann = token("anns", "ann", Right::Admin);
    tokens = {{"another user's", token("e", "eve", Right::Admin)},
              {"a reader's", token("g", "guest", Right::Admin)},
              {"for other repositories", token("n", "", Right::Admin, {"eve/*"})},
              {"of hers, for hers", token("f", "eve", Right::Admin, {"eve/*"})},
              {"one that only reads all", token("r", "", Right::Read)}};
    for (const char* body : {R"({"name":"ann/m"})", R"({"name":"ann/secret","private":true})"}) {
      REQUIRE(send(ann, "POST", "/api/repos/create", body).status == 200);
    }
    REQUIRE(send(tokens[0].second, "POST", "/api/repos/create", R"({"name":"eve/m"})").status ==
            200);
  }

  Response send(const std::string& token, const char* method, const std::string& target,
                const std::string& body) const {
    std::vector<Header> headers;
    if (body.find('=') != body.npos && !body.starts_with('{'))
      headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
    return ask_as(token, {.method = method, .target = target, .headers = headers, .body = body});
  }

  // Everything that is ann's, as text.
  std::string state() {
    std::string text;
    const auto& catalog = sample.store->catalog();
    for (const auto& record : catalog.list_repositories({})) {
      if (record.id.owner == "eve") continue;
      const auto rules = book().rules(record.id);
      text += to_text(record.id) + (rules.is_private ? " private" : "") +
              (rules.gate ? " gate\n" : "\n");
      for (const auto& request : book().requests(record.id)) text += request.who + "\n";
      for (const auto& ref : catalog.refs(record.id)) text += ref.name + to_hex(ref.commit) + "\n";
      text += std::to_string(catalog.revisions(record.id).size()) + "\n";
    }
    for (const auto& user : book().users()) {
      text +=
          user.name + std::string(to_text(user.role)) + std::to_string(user.grants.size()) + "\n";
    }
    for (const auto& token : book().tokens()) {
      if (token.user == "ann") text += token.name + "\n";
    }
    for (const auto& job : sample.store->jobs().list(1000)) {
      if (job.kind != "scan") text += job.kind + "\n";
    }
    return text;
  }

  Uploads uploads;
  std::string ann;
  std::vector<std::pair<const char*, std::string>> tokens;
};

}  // namespace

TEST_CASE("web/attack: every route that may change something is tried on another's namespace") {
  std::set<const Route*> tried;
  for (const Attempt& attempt : attempts()) {
    CAPTURE(attempt.target);
    const auto found = match(attempt.method, with_repo(attempt.target, "ann/m"));
    REQUIRE(found.has_value());
    REQUIRE(found->route != nullptr);
    CHECK(found->route->method == attempt.method);
    tried.insert(found->route);
  }
  for (const Route& route : routes()) {
    if (route.method == "GET" || route.method == "ANY") continue;
    CAPTURE(std::string(route.method) + " " + std::string(route.pattern));
    CHECK(tried.contains(&route));
  }
}

TEST_CASE("web/attack: one user's token changes nothing of another's, and sees nothing private") {
  Neighbours hub;
  const std::string before = hub.state();
  for (const auto& [name, token] : hub.tokens) {
    CAPTURE(std::string(name));
    const bool may_read = std::string_view(name) == "a reader's" ||
                          std::string_view(name) == "one that only reads all";
    for (const Attempt& attempt : attempts()) {
      for (const char* repo : {"ann/m", "ann/secret"}) {
        const std::string target = with_repo(attempt.target, repo);
        const std::string body = with_repo(attempt.body, repo);
        CAPTURE(std::string(attempt.method) + " " + target);
        CAPTURE(body);
        const Response answer = hub.send(token, attempt.method, target, body);
        CAPTURE(tests::body_of(answer));
        CHECK(hub.state() == before);
        if (attempt.answer == Answer::Harmless) continue;
        CHECK((answer.status == 403 || answer.status == 404 || answer.status == 409));
        // Where the repository is named, it is not there for who may not see it.
        const bool named = target.find("ann/secret") != target.npos;
        const bool signed_url = target.find("/info/lfs/objects/" + kOid) != target.npos;
        if (named && !may_read && !signed_url) CHECK(answer.status == 404);
      }
    }
  }
}

TEST_CASE("web/attack: the address of an upload is good for its own repository") {
  Neighbours hub;
  const std::string& eve = hub.tokens[0].second;
  const Json own =
      json_of(hub.send(eve, "POST", "/eve/m.git/info/lfs/objects/batch",
                       R"({"operation":"upload","objects":[{"oid":")" + kOid + R"(","size":1}]})"));
  std::string href =
      own.find("objects")->as_array().front().find_path({"actions", "upload", "href"})->as_string();
  href = href.substr(href.find("/eve/m"));
  for (const char* repo : {"/ann/m", "/ann/secret", "/eve/none", "/datasets/eve/m"}) {
    CAPTURE(std::string(repo));
    std::string other = href;
    other.replace(0, 6, repo);
    CHECK(hub.send(eve, "PUT", other, "x").status == 403);
  }
  CHECK(hub.send(hub.ann, "GET", "/api/models/ann/secret", "").status == 200);
}

}  // namespace holdfast::web
