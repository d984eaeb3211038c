#include <algorithm>

#include <doctest/doctest.h>

#include "tests/web/browsing.h"
#include "web/internal/tokens.h"

namespace holdfast::web {
namespace {

using storage::Right;
using tests::body_of;
using tests::Browser;
using tests::Guarded;
using tests::json_of;
using tests::shows;
using namespace std::chrono_literals;

std::optional<storage::Token> find(Guarded& hub, std::string_view name) {
  const auto tokens = hub.book().tokens();
  const auto found = std::ranges::find(tokens, name, &storage::Token::name);
  return found == tokens.end() ? std::nullopt : std::optional(*found);
}

// The text of a token on the page that shows it.
std::string text_on(const Response& page) {
  const std::string html = body_of(page);
  const auto at = html.find("<code>hf_");
  return at == std::string::npos ? "" : html.substr(at + 6, 43);
}

}  // namespace

TEST_CASE("web/tokens: a user makes, sees and revokes his own") {
  Guarded hub;
  hub.book().put_user({.name = "ann"});
  hub.book().put_user({.name = "bob"});
  hub.token("of-bob", "bob", Right::Write);
  Browser browser(hub);
  browser.sign_in(hub.token("laptop", "ann", Right::Write));
  CHECK(shows(browser.get("/-/tokens"), "laptop"));
  CHECK_FALSE(shows(browser.get("/-/tokens"), "of-bob"));
  const Response made = browser.send(
      "/-/tokens",
      {{"name", "ci"}, {"scope", "read"}, {"repos", "org/*, lab/x"}, {"expires_days", "30"}});
  CHECK(made.status == 200);
  CHECK(made.header("Cache-Control") == "no-store");
  CHECK(made.subject.starts_with("token ci "));
  const auto token = find(hub, "ci");
  REQUIRE(token);
  CHECK(token->user == "ann");
  CHECK(token->scope == Right::Read);
  CHECK(token->repos == std::vector<std::string>{"org/*", "lab/x"});
  CHECK(token->expires_at == hub.clock.now() + 24h * 30);
  const std::string text = text_on(made);
  CHECK(hub.get_as(text, "/org/tiny/resolve/main/config.json").status == 200);
  CHECK_FALSE(shows(browser.get("/-/tokens"), text));
  CHECK(browser.send("/-/tokens/revoke", {{"name", "of-bob"}}).status == 404);
  CHECK(find(hub, "of-bob"));
  const Response gone = browser.send("/-/tokens/revoke", {{"name", "ci"}});
  CHECK(gone.status == 303);
  CHECK(gone.subject == "token ci");
  CHECK_FALSE(find(hub, "ci"));
  CHECK(hub.get_as(text, "/").status == 401);
}

TEST_CASE("web/tokens: nobody gives more than he has") {
  Guarded hub;
  hub.book().put_user({.name = "ann", .role = Right::Write});
  hub.book().put_user({.name = "bob"});
  Browser browser(hub);
  browser.sign_in(tests::add_token(hub.book(), {.name = "narrow",
                                                .user = "ann",
                                                .scope = Right::Write,
                                                .repos = {"org/*", "lab/*"},
                                                .created_at = hub.clock.now(),
                                                .expires_at = hub.clock.now() + 24h * 2}));

  struct Case {
    const char* name;
    tests::Fields fields;
    int status;
  };

  for (const Case& c : {
           Case{"a larger scope",
                {{"scope", "admin"}, {"repos", "org/*"}, {"expires_days", "1"}},
                403},
           Case{"all repositories", {{"scope", "read"}, {"expires_days", "1"}}, 403},
           Case{"others", {{"scope", "read"}, {"repos", "org/* x/*"}, {"expires_days", "1"}}, 403},
           Case{"for ever", {{"scope", "read"}, {"repos", "org/*"}}, 403},
           Case{"later", {{"scope", "read"}, {"repos", "org/*"}, {"expires_days", "3"}}, 403},
           Case{"another's",
                {{"scope", "read"}, {"repos", "org/*"}, {"expires_days", "1"}, {"user", "bob"}},
                403},
           Case{"no scope", {{"scope", "all"}, {"repos", "org/*"}, {"expires_days", "1"}}, 400},
           Case{"no number", {{"scope", "read"}, {"repos", "org/*"}, {"expires_days", "1x"}}, 400},
           Case{
               "what he has", {{"scope", "write"}, {"repos", "lab/*"}, {"expires_days", "2"}}, 200},
       }) {
    CAPTURE(std::string(c.name));
    tests::Fields fields = c.fields;
    fields.emplace_back("name", "new");
    const Response answer = browser.send("/-/tokens", fields);
    CHECK(answer.status == c.status);
    CHECK(find(hub, "new").has_value() == (c.status == 200));
    CHECK(answer.subject.starts_with("token new"));
  }
  CHECK(browser
            .send("/-/tokens",
                  {{"name", "new"}, {"scope", "read"}, {"repos", "org/*"}, {"expires_days", "1"}})
            .status == 409);
}

TEST_CASE("web/tokens: nobody revokes what has more than his own token") {
  Guarded hub;
  hub.book().put_user({.name = "ann"});
  hub.token("large", "ann", Right::Admin);
  hub.token("wide", "ann", Right::Read);
  hub.token("small", "ann", Right::Read, {"org/*"});
  Browser browser(hub);
  browser.sign_in(hub.token("narrow", "ann", Right::Write, {"org/*"}));
  CHECK(browser.send("/-/tokens/revoke", {{"name", "large"}}).status == 403);
  CHECK(browser.send("/-/tokens/revoke", {{"name", "wide"}}).status == 403);
  CHECK(browser.send("/-/tokens/revoke", {{"name", "small"}}).status == 303);
  CHECK(hub.book().tokens().size() == 3);
}

TEST_CASE("web/tokens: what only reads, or is nobody's, makes none") {
  Guarded hub;
  hub.book().put_user({.name = "ann"});
  hub.token("hers", "ann");
  for (const std::string& token :
       {hub.token("reads", "ann", Right::Read), hub.token("robot", "", Right::Write)}) {
    Browser browser(hub);
    browser.sign_in(token);
    const Response page = browser.get("/-/tokens");
    CHECK(page.status == 200);
    CHECK_FALSE(shows(page, "Make token"));
    CHECK_FALSE(shows(page, "Revoke"));
    CHECK(browser.send("/-/tokens", {{"name", "new"}, {"scope", "read"}}).status == 403);
    CHECK(browser.send("/-/tokens/revoke", {{"name", "hers"}}).status == 403);
  }
  CHECK(hub.book().tokens().size() == 3);
  // Of those that are nobody's each shows itself alone.
  Browser robot(hub);
  robot.sign_in(hub.token("lonely"));
  CHECK(shows(robot.get("/-/tokens"), "lonely"));
  CHECK_FALSE(shows(robot.get("/-/tokens"), "hers"));
}

TEST_CASE("web/tokens: an administrator handles all, on the page as by the API") {
  Guarded hub;
  hub.book().put_user({.name = "root", .role = Right::Admin});
  hub.book().put_user({.name = "ann"});
  hub.token("hers", "ann");
  const std::string token = hub.token("r", "root", Right::Admin);
  Browser browser(hub);
  browser.sign_in(token);
  const Response page = browser.get("/-/tokens");
  CHECK(shows(page, R"(data-name="User">ann</td>)"));
  CHECK(
      browser.send("/-/tokens", {{"name", "of-ann"}, {"scope", "admin"}, {"user", "ann"}}).status ==
      200);
  CHECK(find(hub, "of-ann")->user == "ann");
  CHECK(browser.send("/-/tokens", {{"name", "x"}, {"scope", "read"}, {"user", "nobody"}}).status ==
        404);
  CHECK(browser.send("/-/tokens", {{"name", "x y"}, {"scope", "read"}}).status == 400);
  CHECK(browser.send("/-/tokens/revoke", {{"name", "of-ann"}}).status == 303);
  CHECK_FALSE(find(hub, "of-ann"));
}

TEST_CASE("web/tokens: the API gives a user his own") {
  Guarded hub;
  hub.book().put_user({.name = "ann"});
  hub.book().put_user({.name = "bob"});
  hub.token("of-bob", "bob");
  const std::string ann = hub.token("laptop", "ann", Right::Write);
  const Json list = json_of(hub.get_as(ann, "/-/api/v1/tokens"));
  REQUIRE(list.find("tokens")->as_array().size() == 1);
  CHECK(list.find("tokens")->as_array()[0].find("name")->as_string() == "laptop");
  const auto post = [&](const char* target, std::string_view body) {
    return hub.ask_as(ann, {.method = "POST", .target = target, .body = body}).status;
  };
  CHECK(post("/-/api/v1/tokens", R"({"name":"mine","scope":"write"})") == 201);
  CHECK(find(hub, "mine")->user == "ann");
  CHECK(post("/-/api/v1/tokens", R"({"name":"more","scope":"admin"})") == 403);
  CHECK(post("/-/api/v1/tokens/revoke", R"({"name":"of-bob"})") == 404);
  CHECK(post("/-/api/v1/tokens/revoke", R"({"name":"mine"})") == 200);
}

}  // namespace holdfast::web
