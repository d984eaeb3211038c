#include "web/oidc.h"

#include <thread>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "tests/storage/error_kind.h"
#include "tests/web/guarded.h"
#include "tests/web/identity_provider.h"
#include "tests/web/xet_files.h"
#include "web/audit_log.h"
#include "web/limits.h"
#include "web/xet.h"

namespace holdfast::web {
namespace {

using namespace std::chrono_literals;
using storage::Right;
using tests::kind_of;

constexpr const char* kIssuer = "https://id.example.org";

const tests::IdentityProvider& provider() {
  static const tests::IdentityProvider kProvider;
  return kProvider;
}

std::vector<OidcIssuer> issuers() {
  OidcIssuer issuer{.issuer = kIssuer, .audience = "holdfast"};
  issuer.user_claim = "preferred_username";
  issuer.roles_claim = "realm_access.roles";
  issuer.roles = {{.value = "team", .right = Right::Write, .repo = "team/*"},
                  {.value = "admins", .right = Right::Admin, .repo = ""}};
  OidcIssuer machines{.issuer = "https://ci.example.org", .audience = "holdfast"};
  machines.user_prefix = "ci-";
  issuer.user_prefix = "p-";
  return {issuer, machines};
}

// The sample hub behind two issuers, of which the first has its keys.
struct Provided : tests::Asking {
  Provided()
      : keys(2),
        oidc(issuers(), keys, clock),
        access({.anonymous_read = false, .local = false}, *sample.store->access(), clock, &oidc) {
    keys.set(0, KeySet::parse(provider().jwks(), "test"));
    services.access = &access;
    services.clock = &clock;
  }

  std::int64_t now() const {
    return std::chrono::floor<std::chrono::seconds>(clock.now().time_since_epoch()).count();
  }

  // Claims that hold, but for what is changed; null takes a claim away.
  Json::Object claims(std::initializer_list<Json::Member> changes = {}) const {
    Json::Object all{{"iss", kIssuer},     {"aud", Json::Array{"other", "holdfast"}},
                     {"sub", "f3a1|7"},    {"preferred_username", "ann"},
                     {"exp", now() + 300}, {"iat", now()}};
    for (const auto& [name, value] : changes) {
      if (value.is_null()) all.erase(name);
      if (!value.is_null()) all.set(name, value);
    }
    return all;
  }

  Caller caller(const std::string& token) {
    const std::string text = "Bearer " + token;
    const Header headers[] = {{"Authorization", text}};
    return access.identify({.headers = headers, .client = "10.0.0.1"});
  }

  tests::FakeClock clock;
  OidcKeys keys;
  Oidc oidc;
  Access access;
};

// The same with files that are read by Xet, of a private repository.
struct Reading : Provided {
  Reading() {
    services.xet = &xet;
    tests::publish_xet_files(*sample.store);
    tests::index_main(*sample.store, "org/xet");
    book().put_rules(repo, {.is_private = true});
  }

  storage::AccessBook& book() { return *sample.store->access(); }

  Response get(const std::string& bearer, const std::string& target) const {
    const std::string text = "Bearer " + bearer;
    return ask({.target = target, .headers = {{"Authorization", text}}});
  }

  Response xet_token(const std::string& bearer) const {
    return get(bearer, "/api/models/org/xet/xet-read-token/main");
  }

  // Of a file whose hash a reader was told.
  int status_with(const std::string& token) const {
    return get(token, "/-/xet/v2/reconstructions/" + hash).status;
  }

  const storage::RepoId repo = storage::parse_repo_id("org/xet");
  const Json admins = Json::Object{{"roles", Json::Array{"admins"}}};
  Xet xet{1};
  std::string hash;
};

}  // namespace

TEST_CASE("web/oidc: a token of Xet ends with its bearer's, and with what he was given here") {
  Reading hub;
  const std::string ann = provider().rs256(hub.claims());
  const std::string admin = provider().rs256(hub.claims({{"realm_access", hub.admins}}));
  const std::string lasting =
      provider().rs256(hub.claims({{"realm_access", hub.admins}, {"exp", hub.now() + 100'000}}));
  hub.hash = hub.get(admin, "/org/xet/resolve/main/short.bin").header("X-Xet-Hash");
  REQUIRE(hub.hash.size() == 64);
  CHECK(hub.xet_token(ann).status == 404);
  hub.book().put_user({.name = "p-ann", .grants = {{"org/xet", Right::Read}}});
  const auto token_of = [&](const std::string& bearer) {
    return std::string(hub.xet_token(bearer).header("X-Xet-Access-Token"));
  };
  const std::string of_ann = token_of(ann), of_admin = token_of(admin),
                    of_lasting = token_of(lasting);
  const auto until = [&](const std::string& bearer) {
    return std::string(hub.xet_token(bearer).header("X-Xet-Token-Expiration"));
  };
  CHECK(until(ann) == std::to_string(hub.now() + 300 + kIdentityLeeway.count()));
  CHECK(until(lasting) ==
        std::to_string(hub.now() + std::chrono::seconds(kXetTokenPeriod).count()));
  for (const std::string& token : {of_ann, of_admin, of_lasting})
    CHECK(hub.status_with(token) == 200);
  // What he has of his provider stays as his token does; what he was given here is asked anew.
  hub.book().remove_user("p-ann");
  CHECK(hub.status_with(of_ann) == 401);
  CHECK(hub.status_with(of_admin) == 200);
  hub.clock.advance(300s + kIdentityLeeway);
  CHECK(hub.status_with(of_admin) == 200);
  hub.clock.advance(1s);
  CHECK(hub.status_with(of_admin) == 401);
  CHECK(hub.status_with(of_lasting) == 200);
  hub.sample.store->catalog().remove(hub.repo, std::nullopt);
  CHECK(hub.status_with(of_lasting) == 401);
}

TEST_CASE("web/oidc: a token that holds is its bearer, with what his roles give") {
  Provided hub;
  hub.sample.store->access()->put_rules(storage::parse_repo_id("team/m"), {.is_private = true});
  const Json roles = Json::Object{{"roles", Json::Array{"team", "others", 7}}};
  for (const std::string& token :
       {provider().rs256(hub.claims({{"realm_access", roles}})),
        provider().es256(hub.claims({{"realm_access", roles}, {"aud", "holdfast"}}))}) {
    const Caller ann = hub.caller(token);
    REQUIRE(ann.signed_in());
    CHECK(ann.who() == "p-ann");
    CHECK(ann.identity->issuer == kIssuer);
    CHECK(ann.identity->subject == "f3a1|7");
    CHECK(hub.access.right_on(ann, storage::parse_repo_id("team/m")) == Right::Write);
    CHECK(hub.access.right_on(ann, storage::parse_repo_id("p-ann/m")) == Right::Admin);
    CHECK(hub.access.right_on(ann, storage::parse_repo_id("org/tiny")) == Right::Read);
    CHECK(hub.access.right_on_server(ann) == Right::None);
  }
  const Caller root = hub.caller(provider().rs256(hub.claims({{"realm_access.roles", "admins"}})));
  CHECK(hub.access.right_on_server(root) == Right::Admin);
}

TEST_CASE("web/oidc: what the user of that name holds here is added") {
  Provided hub;
  auto& book = *hub.sample.store->access();
  book.put_user({.name = "p-ann", .role = Right::Read, .grants = {{"lab/*", Right::Write}}});
  const Caller ann = hub.caller(provider().rs256(hub.claims()));
  CHECK(hub.access.right_on(ann, storage::parse_repo_id("lab/x")) == Right::Write);
  CHECK(hub.access.right_on_server(ann) == Right::Read);
  book.remove_user("p-ann");
  CHECK(hub.access.right_on(hub.caller(provider().rs256(hub.claims())),
                            storage::parse_repo_id("lab/x")) == Right::Read);
}

TEST_CASE("web/attack: claims that do not hold, however well they are signed") {
  Provided hub;

  struct Case {
    const char* name;
    Json::Object claims;
  };

  for (const Case& c : {
           Case{"another issuer", hub.claims({{"iss", "https://id.example.org/"}})},
           Case{"no issuer", hub.claims({{"iss", nullptr}})},
           Case{"the other issuer, by this one's key",
                hub.claims({{"iss", "https://ci.example.org"}})},
           Case{"issuer of another type", hub.claims({{"iss", Json::Array{kIssuer}}})},
           Case{"another audience", hub.claims({{"aud", "holdfast2"}})},
           Case{"no audience", hub.claims({{"aud", nullptr}})},
           Case{"audience inside a text", hub.claims({{"aud", "a holdfast b"}})},
           Case{"audience of another type", hub.claims({{"aud", Json::Object{{"holdfast", 1}}}})},
           Case{"expired", hub.claims({{"exp", hub.now() - 60}})},
           Case{"no end", hub.claims({{"exp", nullptr}})},
           Case{"an end that is a text", hub.claims({{"exp", "9999999999"}})},
           Case{"an end before all time", hub.claims({{"exp", -1}})},
           Case{"not yet", hub.claims({{"nbf", hub.now() + 61}})},
           Case{"from the future", hub.claims({{"iat", hub.now() + 61}})},
           Case{"a beginning that is a text", hub.claims({{"nbf", "0"}})},
           Case{"no subject", hub.claims({{"sub", nullptr}})},
           Case{"a subject with a line's end", hub.claims({{"sub", "a\nb"}})},
           Case{"no user", hub.claims({{"preferred_username", nullptr}})},
           Case{"an empty user", hub.claims({{"preferred_username", ""}})},
           Case{"a user with a slash", hub.claims({{"preferred_username", "a/b"}})},
           Case{"a user like a token's", hub.claims({{"preferred_username", "token:ci"}})},
           Case{"a user of another type", hub.claims({{"preferred_username", 7}})},
       }) {
    CAPTURE(std::string(c.name));
    const Caller caller = hub.caller(provider().rs256(c.claims));
    CHECK_FALSE(caller.signed_in());
    CHECK(caller.wrong_token);
  }
  // Times that hold by the leeway, and such as no clock has.
  CHECK(hub.caller(provider().rs256(hub.claims({{"exp", hub.now() - 59}}))).signed_in());
  CHECK(hub.caller(provider().rs256(hub.claims({{"nbf", hub.now() + 60}}))).signed_in());
  CHECK(hub.caller(provider().rs256(hub.claims({{"exp", 1e300}}))).signed_in());
}

TEST_CASE("web/oidc: a token ends at its time, and with its key") {
  Provided hub;
  const std::string token = provider().rs256(hub.claims());
  CHECK(hub.caller(token).signed_in());
  hub.clock.advance(300s + kIdentityLeeway - 1s);
  CHECK(hub.caller(token).signed_in());
  hub.clock.advance(1s);
  CHECK_FALSE(hub.caller(token).signed_in());
  const std::string fresh = provider().rs256(hub.claims());
  CHECK(hub.caller(fresh).signed_in());
  hub.keys.set(0, KeySet());
  CHECK_FALSE(hub.caller(fresh).signed_in());
}

TEST_CASE("web/oidc: one issuer's users are not another's") {
  Provided hub;
  hub.keys.set(1, KeySet::parse(provider().jwks(), "test"));
  const Caller machine =
      hub.caller(provider().rs256(hub.claims({{"iss", "https://ci.example.org"}, {"sub", "ann"}})));
  CHECK(machine.who() == "ci-ann");
  auto same = issuers();
  same.front().user_prefix = "ci";  // whose "-ann" would be the other's "ann"
  CHECK(kind_of([&] { Oidc(same, hub.keys, hub.clock); }) == ErrorKind::Invalid);
  same.back().user_prefix = "";
  CHECK(kind_of([&] { Oidc(same, hub.keys, hub.clock); }) == ErrorKind::Invalid);
  same.back().issuer = kIssuer;
  same.back().user_prefix = "x-";
  CHECK(kind_of([&] { Oidc(same, hub.keys, hub.clock); }) == ErrorKind::Invalid);
}

TEST_CASE("web/oidc: a key that is not there is asked for, one that is there is not") {
  Provided hub;
  // Whether somebody waits for a key: then wait() comes back at once.
  const auto is_asked = [&] {
    bool asked = false;
    std::jthread waiter(
        [&](const std::stop_token& stop) { asked = hub.keys.wait(std::chrono::hours(1), stop); });
    waiter.join();
    return asked;
  };
  hub.caller(provider().rs256(hub.claims(), {{"alg", "RS256"}, {"kid", "next"}}));
  CHECK(is_asked());
  hub.keys.set(
      0,
      KeySet::parse(to_text(Json(Json::Object{{"keys", Json::Array{provider().rsa_jwk("next")}}})),
                    "test"));
  CHECK(
      hub.caller(provider().rs256(hub.claims(), {{"alg", "RS256"}, {"kid", "next"}})).signed_in());
  // A request to stop ends every wait.
  std::stop_source stop;
  stop.request_stop();
  CHECK_FALSE(hub.keys.wait(std::chrono::hours(1), stop.get_token()));
  CHECK_FALSE(hub.keys.rest(std::chrono::hours(1), stop.get_token()));
}

TEST_CASE("web/oidc: requests, and what the audit trail says of them") {
  Provided hub;
  hub.sample.store->access()->put_rules(storage::parse_repo_id("org/tiny"), {.is_private = true});
  const std::string token = provider().rs256(hub.claims());
  const std::string bearer = "Bearer " + token;
  CHECK(
      hub.ask({.target = "/api/models/org/tiny", .headers = {{"Authorization", bearer}}}).status ==
      404);
  const auto who = hub.ask({.target = "/api/whoami-v2", .headers = {{"Authorization", bearer}}});
  CHECK(tests::json_of(who).find("name")->as_string() == "p-ann");

  const auto path = hub.sample.directory.path() / "audit.log";
  AuditLog audit(path, AuditLevel::Reads, hub.clock);
  const Header headers[] = {{"Authorization", bearer}};
  Request request{.target = "/org/tiny/resolve/main/config.json", .headers = headers, .id = "1"};
  const Caller caller = hub.access.identify(request);
  request.caller = &caller;
  audit.add(request, handle(request, hub.services));
  const std::string line = read_file(path);
  const Json json = parse_json(line, "line");
  CHECK(json.find("who")->as_string() == "p-ann");
  CHECK(json.find("issuer")->as_string() == kIssuer);
  CHECK(json.find("issuer_subject")->as_string() == "f3a1|7");
  CHECK(line.find(token.substr(token.rfind('.'))) == std::string::npos);
}

TEST_CASE("web/oidc: who shares an address with a guesser is not held up") {
  Provided hub;
  for (std::size_t i = 0; i <= kWrongTokensMax; ++i) hub.caller("hf_" + std::to_string(i));
  CHECK(hub.caller("hf_one_more").wait.count() > 0);
  CHECK(hub.caller(provider().rs256(hub.claims())).signed_in());
}

}  // namespace holdfast::web
