#include <doctest/doctest.h>

#include "storage/base/file.h"
#include "tests/web/browsing.h"
#include "web/audit_log.h"
#include "web/browser_session.h"
#include "web/internal/forms.h"

namespace holdfast::web {
namespace {

using storage::Right;
using tests::body_of;
using tests::Browser;
using tests::Guarded;
using tests::shows;
using namespace std::chrono_literals;

constexpr const char* kPrivateFile = "/org/tiny/resolve/main/config.json";

}  // namespace

TEST_CASE("web/sign_in: a token opens a session, for pages and for files") {
  Guarded hub;
  hub.book().put_user({.name = "ann"});
  const std::string token = hub.token("laptop", "ann");
  Browser browser(hub);
  CHECK(browser.get("/").status == 401);
  const Response answer = browser.sign_in(token, "/org/tiny");
  CHECK(answer.status == 303);
  CHECK(answer.header("Location") == "/org/tiny");
  CHECK(answer.header("Set-Cookie").find("; HttpOnly; SameSite=Lax") != std::string_view::npos);
  CHECK(answer.header("Set-Cookie").find(token) == std::string_view::npos);
  CHECK(browser.get("/").status == 200);
  CHECK(shows(browser.get("/org/tiny"), ">ann</a>"));
  CHECK(shows(browser.get("/org/tiny"), "Sign out"));
  CHECK(browser.get(kPrivateFile).status == 200);
  CHECK(browser.get("/-/api/v1/repositories").status == 200);
}

TEST_CASE("web/sign_in: a page that may not be seen is the form that leads back to it") {
  Guarded hub;
  const std::string token = hub.token("ci");
  Browser browser(hub);
  for (const char* target :
       {"/", "/org/tiny/tree/main?x=1&y=2", "/-/jobs", "/-/tokens", "/org/none", kPrivateFile}) {
    CAPTURE(std::string(target));
    const Response asked = browser.get(target);
    CHECK(asked.status == 401);
    CHECK(asked.header("WWW-Authenticate") == R"(Bearer realm="Holdfast")");
    Html next;
    next.add(R"(name="next" value=")", std::string_view(target), "\"");
    CHECK(shows(asked, next.text()));
    CHECK(browser.sign_in(token, target).header("Location") == target);
    browser.cookie.clear();
  }
  // Programs are asked as before.
  CHECK(hub.get("/org/tiny").header("WWW-Authenticate").starts_with("Basic "));
}

TEST_CASE("web/sign_in: nobody is led elsewhere") {
  struct Case {
    const char* next;
    const char* path;
  };

  constexpr Case kCases[] = {
      {"/org/tiny?a=b", "/org/tiny?a=b"},
      {"//evil.example", "/"},
      {"/\\evil.example", "/"},
      {"/\t/evil.example", "/"},
      {"https://evil.example/", "/"},
      {"http:evil.example", "/"},
      {"javascript:alert(1)", "/"},
      {"evil.example", "/"},
      {"/a//b", "/"},
      {"/a\r\nSet-Cookie: x=y", "/"},
      {"/\xc3\xa9", "/"},
      {"", "/"},
  };
  Guarded hub;
  const std::string token = hub.token("ci");
  for (const auto& [next, path] : kCases) {
    CAPTURE(std::string(next));
    CHECK(local_path(next) == path);
    Browser browser(hub);
    CHECK(browser.sign_in(token, next).header("Location") == path);
    const std::string asked = "/-/login?next=" + percent_encode(next);
    CHECK_FALSE(shows(browser.get(asked), "evil"));
    browser.cookie.clear();
    CHECK_FALSE(shows(browser.get(asked), "evil"));
  }
}

TEST_CASE("web/sign_in: a session ends with its token, its user, its time and its key") {
  Guarded hub;
  hub.book().put_user({.name = "ann"});
  hub.book().put_user({.name = "bob"});
  Browser ann(hub), bob(hub), robot(hub), brief(hub);
  ann.sign_in(hub.token("a", "ann"));
  bob.sign_in(hub.token("b", "bob"));
  robot.sign_in(hub.token("r"));
  const std::string soon = tests::add_token(
      hub.book(), {.name = "s", .created_at = hub.clock.now(), .expires_at = hub.clock.now() + 1h});
  const Response opened = brief.sign_in(soon);
  CHECK(opened.header("Set-Cookie").find("Max-Age=3600") != std::string_view::npos);
  for (const Browser* browser : {&ann, &bob, &robot, &brief})
    CHECK(browser->get("/").status == 200);
  hub.book().remove_token("a");
  hub.book().remove_user("bob");
  CHECK(ann.get("/").status == 401);
  CHECK(bob.get("/").status == 401);
  hub.clock.advance(1h);
  CHECK(brief.get("/").status == 401);
  CHECK(robot.get("/").status == 200);
  hub.clock.advance(kBrowserSessionLife - 1h);
  CHECK(robot.get("/").status == 401);
  // Another key's: a restored store, say.
  robot.cookie = hub.access.sessions().cookie_name() + "=" +
                 BrowserSessions(random_session_key())
                     .sign({.token = sha256(as_bytes("hf_x")), .ends_at = hub.clock.now() + 1h});
  CHECK(robot.get("/").status == 401);
}

TEST_CASE("web/sign_in: wrong tokens are refused, counted and told of") {
  Guarded hub;
  const std::string token = hub.token("ci");
  Browser browser(hub);
  const Response refused = browser.sign_in("hf_wrong", "/org/tiny");
  CHECK(refused.status == 403);
  CHECK(refused.header("Set-Cookie").empty());
  CHECK(refused.subject == "wrong token");
  CHECK(shows(refused, "value=\"/org/tiny\""));
  CHECK_FALSE(shows(refused, "hf_wrong"));
  CHECK(browser.sign_in("").status == 403);
  CHECK(browser.sign_in("  " + token + "\n").status == 303);
  int last = 0;
  for (std::size_t i = 0; i <= kWrongTokensMax; ++i) {
    last = Browser(hub).sign_in("hf_guess" + std::to_string(i)).status;
  }
  CHECK(last == 429);
}

TEST_CASE("web/sign_in: the audit trail tells of sign-ins and of refusals, and of no token") {
  Guarded hub;
  hub.book().put_user({.name = "ann"});
  const std::string token = hub.token("laptop", "ann");
  const auto path = hub.sample.directory.path() / "audit.log";
  AuditLog log(path, AuditLevel::Changes);
  for (const std::string& text : {token, std::string("hf_wrong")}) {
    const std::string body = "token=" + text;
    const std::vector<Header> headers{{"Content-Type", "application/x-www-form-urlencoded"}};
    const Request request{
        .method = "POST", .target = "/-/login", .headers = headers, .body = body, .id = "id-1"};
    log.add(request, handle(request, hub.services));
  }
  const std::string lines = read_file(path);
  const auto told = [&](std::string_view text) { return lines.find(text) != std::string::npos; };
  CHECK(told(R"("action":"session.start","outcome":"ok")"));
  CHECK(told(R"("subject":"ann token )" + hub.book().tokens().front().id() + "\""));
  CHECK(told(R"("action":"session.start","outcome":"denied")"));
  CHECK(told(R"("subject":"wrong token")"));
  CHECK_FALSE(told(token));
  CHECK_FALSE(told("hf_"));
}

TEST_CASE("web/sign_in: a session changes nothing but by a form of its own pages") {
  Guarded hub;
  hub.book().put_user({.name = "root", .role = Right::Admin});
  const std::string token = hub.token("r", "root", Right::Admin);
  Browser browser(hub), other(hub);
  browser.sign_in(token);
  hub.clock.advance(1s);  // another session of the same token
  other.sign_in(token);
  const tests::Fields wanted{{"name", "new"}, {"scope", "read"}};
  const auto with_key = [&](const std::string& key) {
    tests::Fields fields = wanted;
    fields.emplace_back("form_key", key);
    return fields;
  };
  const std::string key = browser.form_key();
  CHECK(key.size() == 64);
  CHECK(browser.post("/-/tokens", wanted).status == 403);
  CHECK(browser.post("/-/tokens", with_key("0")).status == 403);
  CHECK(browser.post("/-/tokens", with_key(other.form_key())).status == 403);
  for (const Header header :
       {Header{"Origin", "https://evil.example"}, Header{"Origin", "null"},
        Header{"Sec-Fetch-Site", "cross-site"}, Header{"Sec-Fetch-Site", "same-site"}}) {
    CAPTURE(std::string(header.value));
    CHECK(browser.post("/-/tokens", with_key(key), {header}).status == 403);
  }
  CHECK(hub.book().tokens().size() == 1);
  CHECK(browser.post("/-/tokens", with_key(key), {{"Origin", "http://127.0.0.1"}}).status == 200);
  CHECK(hub.book().tokens().size() == 2);
  // No route of the API takes the cookie for a change, with whatever body.
  for (const char* target :
       {"/-/api/v1/tokens", "/-/api/v1/users", "/api/repos/create", "/org/tiny/git-receive-pack",
        "/api/models/org/tiny/commit/main", "/org/tiny/info/lfs/objects/batch"}) {
    CAPTURE(std::string(target));
    const Response refused =
        hub.ask({.method = "POST",
                 .target = target,
                 .headers = {{"Cookie", browser.cookie}, {"Content-Type", "application/json"}},
                 .body = R"({"name":"x"})"});
    CHECK(refused.status == 403);
  }
  CHECK(hub.book().tokens().size() == 2);
  // Who brings the token itself is no browser that somebody else made ask.
  CHECK(
      hub.ask_as(token, {.method = "POST", .target = "/-/api/v1/tokens", .body = R"({"name":"y"})"})
          .status == 201);
}

TEST_CASE("web/sign_in: another site signs nobody in") {
  Guarded hub;
  const std::string token = hub.token("ci");
  const Browser browser(hub);
  const tests::Fields fields{{"token", token}};
  CHECK(browser.post("/-/login", fields, {{"Origin", "https://evil.example"}}).status == 403);
  CHECK(browser.post("/-/login", fields, {{"Sec-Fetch-Site", "cross-site"}}).status == 403);
  CHECK(browser.post("/-/login", fields, {{"Sec-Fetch-Site", "same-origin"}}).status == 303);
}

TEST_CASE("web/sign_in: signing out ends what the browser has") {
  Guarded hub;
  Browser browser(hub);
  browser.sign_in(hub.token("ci"));
  CHECK(browser.post("/-/logout", {}).status == 403);
  const Response out = browser.send("/-/logout", {});
  CHECK(out.status == 303);
  CHECK(out.header("Set-Cookie")
            .starts_with(hub.access.sessions().cookie_name() + "=; Path=/; Max-Age=0"));
  CHECK(out.subject == "token:ci");
}

TEST_CASE("web/sign_in: under https and a base path the cookie is bound to both") {
  Guarded hub;
  hub.services.external_url = "https://hub.example.org/base/";
  Browser browser(hub);
  const Response answer = browser.sign_in(hub.token("ci"), "/org/tiny");
  CHECK(answer.header("Location") == "/base/org/tiny");
  CHECK(answer.header("Set-Cookie").find("; Path=/base; ") != std::string_view::npos);
  CHECK(answer.header("Set-Cookie").ends_with("; Secure"));
  CHECK(shows(browser.get("/"), "action=\"/base/-/logout\""));
  CHECK(browser.post("/-/login", {}, {{"Origin", "https://127.0.0.1"}}).status == 403);
}

TEST_CASE("web/sign_in: a token in the header goes before the cookie") {
  Guarded hub;
  Browser browser(hub);
  browser.sign_in(hub.token("ci"));
  const Response wrong = hub.ask({.target = "/-/tokens",
                                  .headers = {{"Authorization", "Bearer hf_wrong"},
                                              {"Cookie", browser.cookie},
                                              {"Accept", "text/html"}}});
  CHECK(wrong.status == 401);
  CHECK(wrong.header("WWW-Authenticate").starts_with("Basic "));
}

}  // namespace holdfast::web
