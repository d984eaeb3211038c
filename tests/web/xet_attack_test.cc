// Xet across repositories: a hash, a range, a token or an address of one opens nothing of another.
#include <doctest/doctest.h>

#include "tests/web/xet_site.h"

namespace holdfast::web {
namespace {

using storage::Right;
using tests::XetSite;

constexpr const char* kVersions[] = {"v1", "v2"};

// "org/xet" is private; "org/tiny" is public and holds other files; "org/copy" is public and holds
// one of the private ones, too.
struct Site : XetSite {
  Site() : XetSite({.anonymous_read = true, .local = false}) {
    const auto files = tests::xet_files();
    tests::publish(*sample.store, {.id = "org/copy", .files = {files[0]}, .facts = {}});
    for (const char* repo : {"org/xet", "org/tiny", "org/copy"})
      tests::index_main(*sample.store, repo);
    shared = hash_of("short.bin");
    secret = hash_of("mixed.bin");
    set_private("org/xet");
    book().put_user({.name = "ann", .grants = {{"org/*", Right::Read}}});
    ann = token("anns", "ann");
  }

  std::string token_for(const std::string& repo, const std::string& who = "") const {
    const Response answer = ask_token(repo, who);
    return answer.status == 200 ? tests::json_of(answer).find("accessToken")->as_string("") : "";
  }

  // The first address that a description gives.
  std::string address(const std::string& hash, const std::string& bearer) const {
    const std::string text = tests::body_of(describe("v1", hash, bearer));
    const std::string before = R"("url":")";
    const auto at = text.find(before) + before.size();
    return text.substr(at, text.find('"', at) - at);
  }

  std::string shared, secret, ann;
};

}  // namespace

TEST_CASE(
    "web/attack: a private file's hash is no way to it, with whatever token, in whatever part") {
  const Site hub;
  REQUIRE(hub.describe("v2", hub.secret, hub.token_for("org/xet", hub.ann)).status == 200);
  CHECK(hub.token_for("org/xet").empty());
  for (const char* version : kVersions) {
    for (const std::string& bearer : {hub.token_for("org/tiny"), hub.token_for("org/copy"),
                                      hub.token_for("org/tiny", hub.ann)}) {
      REQUIRE_FALSE(bearer.empty());
      for (const char* range : {"", "bytes=0-", "bytes=0-0", "bytes=100-199", "bytes=-1",
                                "bytes=1499999-", "bytes=99999999-"}) {
        CAPTURE(std::string(range));
        const Response refused = hub.describe(version, hub.secret, bearer, range);
        CHECK(refused.status == 404);
        CHECK(refused.header("Content-Range").empty());
        // As one that nobody has.
        CHECK(tests::body_of(refused) ==
              tests::body_of(hub.describe(version, std::string(64, '7'), bearer, range)));
      }
    }
    // What a public repository has, too, is public.
    CHECK(hub.describe(version, hub.shared, hub.token_for("org/copy")).status == 200);
    CHECK(hub.describe(version, hub.shared, hub.token_for("org/tiny")).status == 404);
    // Another hub's, a user's and no token at all.
    for (const std::string& bearer : {hub.ann, std::string("xet_x.y"), std::string()}) {
      CHECK(hub.describe(version, hub.secret, bearer).status == 401);
    }
  }
}

TEST_CASE("web/attack: the address of a xorb opens no other file's") {
  const Site hub;
  const std::string url = hub.address(hub.shared, hub.token_for("org/copy"));
  REQUIRE(hub.fetch(url).status == 200);
  std::string other = url;
  other.replace(other.find(hub.shared), hub.shared.size(), hub.secret);
  CHECK(hub.fetch(other).status == 403);
  for (const char* part : {"expires=", "signature="}) {
    std::string bent = url;
    const auto at = bent.find(part) + std::string_view(part).size();
    bent[at] = bent[at] == '9' ? '8' : '9';
    CHECK(hub.fetch(bent).status == 403);
    bent = url;
    bent.erase(bent.find(part) - 1);
    CHECK(hub.fetch(bent).status == 403);
  }
}

TEST_CASE("web/attack: a token of Xet ends with the right that it came from") {
  struct Case {
    const char* name;
    void (*take)(Site&);
  };

  for (const Case& c : {
           Case{"its token", [](Site& hub) { hub.book().remove_token("anns"); }},
           Case{"its user", [](Site& hub) { hub.book().remove_user("ann"); }},
           Case{"the user's grant", [](Site& hub) { hub.book().put_user({.name = "ann"}); }},
           Case{"passing the gate",
                [](Site& hub) {
                  hub.book().put_rules(storage::parse_repo_id("org/xet"),
                                       {.is_private = true, .gate = storage::Gate::Manual});
                }},
           Case{"the repository",
                [](Site& hub) {
                  hub.sample.store->catalog().remove(storage::parse_repo_id("org/xet"),
                                                     std::nullopt);
                }},
       }) {
    CAPTURE(std::string(c.name));
    Site hub;
    const std::string bearer = hub.token_for("org/xet", hub.ann);
    for (const char* version : kVersions)
      REQUIRE(hub.describe(version, hub.secret, bearer).status == 200);
    c.take(hub);
    for (const char* version : kVersions)
      CHECK(hub.describe(version, hub.secret, bearer).status == 401);
  }
}

TEST_CASE("web/attack: nobody's token of Xet ends when its repository is closed") {
  Site hub;
  const std::string bearer = hub.token_for("org/copy");
  REQUIRE(hub.describe("v2", hub.shared, bearer).status == 200);
  hub.set_private("org/copy");
  CHECK(hub.describe("v2", hub.shared, bearer).status == 401);
  hub.set_private("org/copy", false);
  CHECK(hub.describe("v2", hub.shared, bearer).status == 200);
  hub.set_gate("org/copy", storage::Gate::Auto);
  CHECK(hub.describe("v2", hub.shared, bearer).status == 401);
  // The operator's word is good for as long as it was given.
  const Response answer =
      hub.ask({.target = "/api/models/org/copy/xet-read-token/main", .trusted = true});
  CHECK(hub.describe("v2", hub.shared, tests::json_of(answer).find("accessToken")->as_string(""))
            .status == 200);
}

TEST_CASE("web/attack: no route of Xet answers a browser's session in the place of a token") {
  const Site hub;
  const std::string cookie =
      hub.access.sessions().cookie_name() + "=" +
      hub.access.sessions().sign(
          {.token = sha256(as_bytes(hub.ann)), .ends_at = hub.clock.now() + std::chrono::hours(1)});
  const std::string target = "/-/xet/v2/reconstructions/" + hub.secret;
  CHECK(hub.ask({.target = target, .headers = {{"Cookie", cookie}}}).status == 401);
}

}  // namespace holdfast::web
