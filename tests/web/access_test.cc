#include "web/access.h"

#include <doctest/doctest.h>

#include "storage/store.h"
#include "tests/storage/scratch.h"
#include "tests/web/guarded.h"
#include "web/handler.h"

namespace holdfast::web {
namespace {

using storage::Gate;
using storage::RepoId;
using storage::Right;
using tests::add_token;
using tests::FakeClock;
using namespace std::chrono_literals;

struct Book {
  tests::ScratchDirectory scratch;
  FakeClock clock;
  std::unique_ptr<storage::Store> store = storage::Store::open({.directory = scratch.path()});

  storage::AccessBook& book() { return *store->access(); }

  Caller caller(Access& access, const std::string& token, std::string_view client = "10.0.0.1") {
    const std::string bearer = "Bearer " + token;
    const Header headers[] = {{"Authorization", bearer}};
    return access.identify({.headers = headers, .client = client});
  }
};

std::string name_of(Right right) { return std::string(storage::to_text(right)); }

}  // namespace

TEST_CASE("web/access: a token comes as Bearer, or as the password of Basic") {
  struct Case {
    const char* header;
    const char* token;
  };

  for (const auto& [header, token] : {
           Case{"Bearer hf_abc", "hf_abc"},
           Case{"bearer  hf_abc ", "hf_abc"},
           Case{"BEARER hf_abc", "hf_abc"},
           Case{"Basic YW5uOmhmX2FiYw==", "hf_abc"},  // ann:hf_abc
           Case{"basic OmhmX2FiYw==", "hf_abc"},      // :hf_abc
           Case{"Basic YW5uOg==", ""},                // ann:
           Case{"Basic YW5u", ""},                    // ann
           Case{"Basic ???", ""},
           Case{"Basic YTpiOmM=", "b:c"},  // a:b:c
           Case{"Bearer", ""},
           Case{"Bearerhf_abc", ""},
           Case{"hf_abc", ""},
           Case{"AAAA:sig", ""},
           Case{"", ""},
       }) {
    CAPTURE(std::string(header));
    CHECK(token_of(header) == token);
  }
}

TEST_CASE("web/access: addresses of one customer are one") {
  CHECK(address_group("10.1.2.3") == "10.1.2.3");
  CHECK(address_group("10.1.2.3") != address_group("10.1.2.4"));
  CHECK(address_group("2001:db8:1:2:3:4:5:6") == address_group("2001:db8:1:2::1"));
  CHECK(address_group("2001:db8:1:2::1") != address_group("2001:db8:1:3::1"));
  CHECK(address_group("::ffff:10.1.2.3") == address_group("10.1.2.3"));
  CHECK(address_group("unix") == "unix");
}

TEST_CASE("web/access: rights come from scope, patterns, role, grants and namespace") {
  Book b;
  b.book().put_user({.name = "ann", .grants = {{"org/*", Right::Write}, {"lab/x", Right::Admin}}});
  b.book().put_user({.name = "bob", .role = Right::Read});
  b.book().put_user({.name = "root", .role = Right::Admin});
  b.book().put_rules(storage::parse_repo_id("org/secret"), {.is_private = true});
  b.book().put_rules(storage::parse_repo_id("lab/secret"), {.is_private = true});
  b.book().put_rules(storage::parse_repo_id("ann/secret"), {.is_private = true});
  b.book().put_rules(storage::parse_repo_id("dataset/org/secret"), {.is_private = true});
  const auto add = [&](const char* name, const char* user, Right scope,
                       std::vector<std::string> repos = {}) {
    return add_token(b.book(),
                     {.name = name, .user = user, .scope = scope, .repos = std::move(repos)});
  };
  const std::string ann_write = add("ann-write", "ann", Right::Write);
  const std::string ann_read = add("ann-read", "ann", Right::Read);
  const std::string ann_org = add("ann-org", "ann", Right::Admin, {"org/*"});
  const std::string bob = add("bob", "bob", Right::Admin);
  const std::string root_read = add("root-read", "root", Right::Read);
  const std::string root = add("root", "root", Right::Admin);
  const std::string ci = add("ci", "", Right::Read, {"lab/*"});
  const std::string service = add("service", "", Right::Write);
  Access closed({.anonymous_read = false, .local = false}, b.book(), b.clock);
  Access open({.anonymous_read = true, .local = false}, b.book(), b.clock);

  struct Case {
    const char* name;
    std::string token;
    const char* repo;
    const char* closed;
    const char* open;
  };

  for (const Case& c : {
           Case{"nobody", "", "org/m", "none", "read"},
           Case{"nobody, private", "", "org/secret", "none", "none"},
           Case{"grant by pattern", ann_write, "org/m", "write", "write"},
           Case{"grant is of both kinds", ann_write, "dataset/org/secret", "write", "write"},
           Case{"grant by name, above scope", ann_write, "lab/x", "write", "write"},
           Case{"scope holds a grant down", ann_read, "org/secret", "read", "read"},
           Case{"own namespace", ann_write, "ann/secret", "write", "write"},
           Case{"no right, public", ann_write, "lab/y", "read", "read"},
           Case{"no right, private", ann_write, "lab/secret", "none", "none"},
           Case{"no namespace of that name", ann_write, "anna/m", "read", "read"},
           Case{"patterns of a token", ann_org, "org/secret", "write", "write"},
           Case{"outside the patterns", ann_org, "lab/x", "none", "read"},
           Case{"outside, private", ann_org, "ann/secret", "none", "none"},
           Case{"role", bob, "org/secret", "read", "read"},
           Case{"role of an administrator", root, "lab/secret", "admin", "admin"},
           Case{"scope holds a role down", root_read, "lab/secret", "read", "read"},
           Case{"a service's patterns", ci, "lab/secret", "read", "read"},
           Case{"a service, elsewhere", ci, "org/m", "none", "read"},
           Case{"a service without patterns", service, "lab/secret", "write", "write"},
       }) {
    CAPTURE(std::string(c.name));
    const RepoId repo = storage::parse_repo_id(c.repo);
    CHECK(name_of(closed.right_on(b.caller(closed, c.token), repo)) == c.closed);
    CHECK(name_of(open.right_on(b.caller(open, c.token), repo)) == c.open);
  }
  const auto on_server = [&](const std::string& token) {
    return name_of(closed.right_on_server(b.caller(closed, token)));
  };
  CHECK(on_server("") == "none");
  CHECK(on_server(ann_write) == "none");
  CHECK(on_server(ann_org) == "none");
  CHECK(on_server(bob) == "read");
  CHECK(on_server(root) == "admin");
  CHECK(on_server(root_read) == "read");
  CHECK(on_server(ci) == "none");
  CHECK(on_server(service) == "write");
}

TEST_CASE(
    "web/access: on the machine itself everyone sees everything, until something is private") {
  Book b;
  const Access local({.anonymous_read = true, .local = true}, b.book(), b.clock);
  CHECK(local.right_on_server({}) == Right::Read);
  CHECK(local.is_unguarded());
  CHECK_FALSE(local.asks_for_token());
  b.book().put_rules(storage::parse_repo_id("org/secret"), {.is_private = true});
  CHECK(local.right_on_server({}) == Right::None);
  CHECK_FALSE(local.shows_all());
  add_token(b.book(), {.name = "t"});
  CHECK_FALSE(local.is_unguarded());
  CHECK(local.asks_for_token());
}

TEST_CASE("web/access: whoever signs in keeps what everybody has") {
  Book b;
  b.book().put_user({.name = "ann"});
  b.book().put_user({.name = "root", .role = Right::Admin});
  const std::string ann = add_token(b.book(), {.name = "a", .user = "ann", .scope = Right::Admin});
  const std::string narrow = add_token(b.book(), {.name = "n", .repos = {"org/*"}});
  const std::string root =
      add_token(b.book(), {.name = "r", .user = "root", .scope = Right::Admin});
  Access local({.anonymous_read = true, .local = true}, b.book(), b.clock);
  Access remote({.anonymous_read = true, .local = false}, b.book(), b.clock);
  const auto on_server = [&](Access& access, const std::string& token) {
    return name_of(access.right_on_server(b.caller(access, token)));
  };
  for (const std::string& token : {std::string(), ann, narrow}) {
    CHECK(on_server(local, token) == "read");
    CHECK(on_server(remote, token) == "none");
  }
  CHECK(on_server(local, root) == "admin");
  b.book().put_rules(storage::parse_repo_id("org/secret"), {.is_private = true});
  for (const std::string& token : {std::string(), ann, narrow})
    CHECK(on_server(local, token) == "none");
  CHECK(on_server(local, root) == "admin");
}

TEST_CASE("web/access: a token that has expired, or lost its user, is nobody's") {
  Book b;
  Access access({}, b.book(), b.clock);
  b.book().put_user({.name = "ann"});
  const std::string token = add_token(b.book(), {.name = "short",
                                                 .user = "ann",
                                                 .created_at = b.clock.now(),
                                                 .expires_at = b.clock.now() + 1h});
  CHECK(b.caller(access, token).who() == "ann");
  CHECK(b.book().tokens().front().last_used_at == b.clock.now());
  b.clock.advance(59min);
  CHECK(b.caller(access, token).signed_in());
  b.clock.advance(1min);
  const Caller late = b.caller(access, token);
  CHECK_FALSE(late.signed_in());
  CHECK(late.wrong_token);
  CHECK(late.who() == "anonymous");
  const std::string other = add_token(b.book(), {.name = "other", .user = "ann"});
  CHECK(b.caller(access, other).signed_in());
  b.book().remove_user("ann");
  CHECK(b.caller(access, other).wrong_token);
}

TEST_CASE("web/access: gates are upstream's, unless somebody here says otherwise") {
  Book b;
  const RepoId repo = storage::parse_repo_id("org/m");
  const Access strict({.upstream_gates = true}, b.book(), b.clock);
  const Access lax({.upstream_gates = false}, b.book(), b.clock);
  CHECK(strict.gate_of(repo, "") == Gate::Open);
  CHECK(strict.gate_of(repo, "auto") == Gate::Auto);
  CHECK(strict.gate_of(repo, "manual") == Gate::Manual);
  CHECK(lax.gate_of(repo, "manual") == Gate::Open);
  b.book().put_rules(repo, {.gate = Gate::Manual});
  CHECK(strict.gate_of(repo, "") == Gate::Manual);
  CHECK(lax.gate_of(repo, "") == Gate::Manual);
  b.book().put_rules(repo, {.gate = Gate::Open});
  CHECK(strict.gate_of(repo, "manual") == Gate::Open);
}

TEST_CASE("web/access: who passes a gate") {
  Book b;
  const RepoId repo = storage::parse_repo_id("org/m");
  b.book().put_rules(repo, {.gate = Gate::Manual});
  b.book().put_user({.name = "ann"});
  b.book().put_user({.name = "writer", .grants = {{"org/*", Right::Write}}});
  Access access({}, b.book(), b.clock);
  const std::string ann = add_token(b.book(), {.name = "a", .user = "ann"});
  const std::string narrow = add_token(b.book(), {.name = "n", .user = "ann", .repos = {"x/*"}});
  const std::string writer = add_token(b.book(), {.name = "w", .user = "writer"});
  const std::string robot = add_token(b.book(), {.name = "ann"});
  const auto passes = [&](const std::string& token) {
    return access.passes(b.caller(access, token), repo, "");
  };
  CHECK_FALSE(passes(""));
  CHECK_FALSE(passes(ann));
  CHECK(passes(writer));  // though this token only reads
  CHECK(access.passes({.trusted = true}, repo, ""));
  for (const auto standing : {storage::Standing::Pending, storage::Standing::Rejected}) {
    b.book().put_request({.repo = repo, .who = "ann", .standing = standing});
    CHECK_FALSE(passes(ann));
  }
  b.book().put_request({.repo = repo, .who = "ann", .standing = storage::Standing::Accepted});
  CHECK(passes(ann));
  CHECK_FALSE(passes(narrow));
  CHECK_FALSE(passes(robot));  // a token named as the user is not the user
  CHECK_FALSE(passes(""));
}

TEST_CASE("web/access: whoever brings many wrong tokens finds none, and disturbs nobody else") {
  Book b;
  Access access({}, b.book(), b.clock);
  const std::string right = add_token(b.book(), {.name = "right"});
  const std::string used = add_token(b.book(), {.name = "used"});
  const std::string foreign = "hf_foreign";
  // One wrong token, however often, is a user with another hub's token.
  for (std::size_t i = 0; i < 3 * kWrongTokensMax; ++i) {
    CHECK(b.caller(access, foreign).wait.count() == 0);
  }
  CHECK(b.caller(access, used).signed_in());
  for (std::size_t i = 1; i < kWrongTokensMax; ++i) {
    CHECK(b.caller(access, "hf_" + std::to_string(i)).wait.count() == 0);
  }
  const Caller refused = b.caller(access, "hf_one_more");
  CHECK(refused.wait == std::chrono::seconds(kWrongTokensWindow));
  CHECK(refused.wrong_token);
  // Nobody who has a token is locked out by others at his address, new there or not.
  CHECK(b.caller(access, right).signed_in());
  CHECK(b.caller(access, used).signed_in());
  // What was wrong before is still only that.
  CHECK(b.caller(access, foreign).wait.count() == 0);
  CHECK(b.caller(access, foreign).wrong_token);
  CHECK(b.caller(access, right, "10.0.0.2").signed_in());
  b.clock.advance(kWrongTokensWindow);
  CHECK(b.caller(access, "hf_one_more").wait.count() == 0);
}

}  // namespace holdfast::web
