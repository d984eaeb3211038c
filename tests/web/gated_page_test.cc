#include <doctest/doctest.h>

#include "tests/web/browsing.h"
#include "web/internal/gate_html.h"

namespace holdfast::web {
namespace {

using storage::Gate;
using storage::Right;
using storage::Standing;
using tests::body_of;
using tests::Browser;
using tests::Guarded;
using tests::shows;

// A gated repository, somebody who wants its files, and somebody who decides.
struct Gated {
  Guarded hub;
  Browser ann{hub}, owner{hub};

  Gated() {
    hub.set_gate("org/tiny", Gate::Manual);
    hub.book().put_user({.name = "ann"});
    hub.book().put_user({.name = "olga", .grants = {{"org/*", Right::Admin}}});
    ann.sign_in(hub.token("a", "ann"));
    owner.sign_in(hub.token("o", "olga", Right::Admin));
  }

  std::optional<storage::AccessRequest> request() {
    return hub.book().find_request(storage::parse_repo_id("org/tiny"), "ann");
  }
};

}  // namespace

TEST_CASE("web/gated_page: who wants the files asks, somebody decides, and both see it") {
  Gated site;
  const Response gated = site.ann.get("/org/tiny/blob/main/config.json");
  CHECK(gated.status == 403);
  CHECK(gated.header("X-Error-Code") == "GatedRepo");
  CHECK(shows(gated, "<a href=\"/org/tiny\">Ask for access"));
  CHECK(shows(site.ann.get("/org/tiny"), "Ask for access</button>"));
  CHECK_FALSE(shows(site.ann.get("/org/tiny"), "Who asked"));
  const Response asked =
      site.ann.send("/-/ask-access/model/org/tiny", {{"Company", "<b>Acme</b>"}});
  CHECK(asked.status == 303);
  CHECK(asked.header("Location") == "/org/tiny");
  CHECK(asked.subject == "ann pending");
  REQUIRE(site.request());
  const Json answers = parse_json(site.request()->answers, "answers");
  CHECK(answers.as_object().size() == 1);
  CHECK(answers.find("Company")->as_string() == "<b>Acme</b>");
  CHECK(shows(site.ann.get("/org/tiny"), "nobody has decided yet"));

  CHECK(shows(site.owner.get("/org/tiny"), "1 waiting"));
  const Response list = site.owner.get("/-/access/model/org/tiny");
  CHECK(list.status == 200);
  CHECK(shows(list, "&lt;b&gt;Acme&lt;/b&gt;"));
  CHECK(shows(list, "value=\"ann\""));
  const Response rejected =
      site.owner.send("/-/access/model/org/tiny", {{"who", "ann"}, {"standing", "rejected"}});
  CHECK(rejected.status == 303);
  CHECK(rejected.header("Location") == "/-/access/model/org/tiny");
  CHECK(rejected.subject == "ann rejected");
  CHECK(site.request()->decided_by == "olga");
  CHECK(shows(site.ann.get("/org/tiny"), "Your request was rejected"));
  CHECK(site.ann.get("/org/tiny/resolve/main/config.json").status == 403);
  CHECK(site.owner.send("/-/access/model/org/tiny", {{"who", "ann"}, {"standing", "accepted"}})
            .status == 303);
  CHECK(shows(site.ann.get("/org/tiny"), "You may have its files"));
  CHECK(site.ann.get("/org/tiny/resolve/main/config.json").status == 200);
}

TEST_CASE("web/gated_page: only who holds admin sees the requests and decides") {
  Gated site;
  const tests::Fields yes{{"who", "ann"}, {"standing", "accepted"}};
  CHECK(site.ann.get("/-/access/model/org/tiny").status == 403);
  CHECK(site.ann.send("/-/access/model/org/tiny", yes).status == 403);
  CHECK(Browser(site.hub).get("/-/access/model/org/tiny").status == 401);
  CHECK_FALSE(site.request());
  // Nobody decides for who has not asked, and nothing but yes or no.
  CHECK(site.owner.send("/-/access/model/org/tiny", yes).status == 404);
  site.ann.send("/-/ask-access/model/org/tiny", {});
  for (const char* standing : {"", "pending", "yes"}) {
    CAPTURE(std::string(standing));
    CHECK(site.owner.send("/-/access/model/org/tiny", {{"who", "ann"}, {"standing", standing}})
              .status == 400);
  }
  CHECK(site.request()->standing == Standing::Pending);
  CHECK(site.owner.post("/-/access/model/org/tiny", yes).status == 403);
  CHECK(shows(site.owner.get("/-/access/dataset/org/data"), "Nobody has asked"));
}

TEST_CASE("web/gated_page: the card says what is asked for") {
  Gated site;
  const Json::Object choice{
      {"type", "select"},
      {"options", Json::Array{"Research", Json::Object{{"label", "Else"}, {"value", "other"}}}}};
  const Json::Object front_matter{{"extra_gated_prompt", "Be <kind>."},
                                  {"extra_gated_button_content", "Please"},
                                  {"extra_gated_fields", Json::Object{{"Company", "text"},
                                                                      {"Born", "date_picker"},
                                                                      {"I agree", "checkbox"},
                                                                      {"Where", "ip_location"},
                                                                      {"<i>", choice}}}};
  tests::publish(*site.hub.sample.store,
                 {.id = "org/asks",
                  .files = {{"config.json", "{}"}},
                  .facts = {{"card", Json::Object{{"front_matter", front_matter}}}}});
  site.hub.set_gate("org/asks", Gate::Auto);
  const Response page = site.ann.get("/org/asks");
  CHECK(page.status == 200);
  for (const char* text : {"Be &lt;kind&gt;.", R"(type="text" name="Company")",
                           R"(type="date" name="Born")", R"(value="true" required name="I agree")",
                           R"(<select name="&lt;i&gt;"><option value="Research">Research</option>)"
                           R"(<option value="other">Else</option></select>)",
                           "Please</button>"}) {
    CAPTURE(std::string(text));
    CHECK(shows(page, text));
  }
  CHECK_FALSE(shows(page, "name=\"Where\""));
  CHECK(site.ann.send("/-/ask-access/model/org/asks", {{"Company", "x"}}).status == 303);
  CHECK(shows(site.ann.get("/org/asks"), "You may have its files"));
}

TEST_CASE("web/gated_page: who has not signed in is led to it") {
  Guarded hub({.anonymous_read = true, .local = false});
  hub.set_gate("org/tiny", Gate::Auto);
  hub.token("ci");
  const Browser browser(hub);
  CHECK(shows(browser.get("/org/tiny"), "href=\"/-/login?next=%2Forg%2Ftiny\">Sign in</a> to ask"));
  const Response file = browser.get("/org/tiny/resolve/main/config.json");
  CHECK(file.status == 401);
  CHECK(shows(file, R"(name="next" value="/org/tiny/resolve/main/config.json")"));
  CHECK_FALSE(shows(browser.get("/gpt2"), "Gated"));
}

}  // namespace holdfast::web
