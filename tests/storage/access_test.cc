#include "storage/access.h"

#include <algorithm>
#include <cctype>
#include <set>

#include <doctest/doctest.h>

#include "storage/base/file.h"
#include "storage/limits.h"
#include "storage/store.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/scratch.h"

namespace holdfast::storage {
namespace {

using tests::FakeClock;
using tests::kind_of;
using tests::ScratchDirectory;
using namespace std::chrono_literals;

struct Fixture {
  ScratchDirectory scratch;
  FakeClock clock;
  std::unique_ptr<Store> store = Store::open({.directory = scratch.path(), .clock = &clock});

  AccessBook& book() { return *store->access(); }

  void reopen() {
    store.reset();
    store = Store::open({.directory = scratch.path(), .clock = &clock});
  }

  Token token(const std::string& name, const std::string& user = "") {
    return {.name = name,
            .user = user,
            .created_at = clock.now(),
            .secret = sha256(as_bytes("secret of " + name))};
  }
};

const RepoId kRepo = parse_repo_id("org/tiny");
const RepoId kDataset = parse_repo_id("dataset/org/tiny");

TEST_CASE("storage/access: names of rights, gates and standings go both ways") {
  for (const Right right : {Right::None, Right::Read, Right::Write, Right::Admin})
    CHECK(parse_right(to_text(right)) == right);
  for (const Gate gate : {Gate::Open, Gate::Auto, Gate::Manual})
    CHECK(parse_gate(to_text(gate)) == gate);
  for (const Standing standing : {Standing::Pending, Standing::Accepted, Standing::Rejected})
    CHECK(parse_standing(to_text(standing)) == standing);
  CHECK_FALSE(parse_right("Read"));
  CHECK_FALSE(parse_right(""));
  CHECK(Right::Read < Right::Write);
}

TEST_CASE(
    "storage/access: a token's text has the form that clients ask for, and is never the same") {
  std::set<std::string> texts;
  for (int i = 0; i < 1000; ++i) {
    const std::string text = make_token_text();
    REQUIRE(text.size() == 43);
    REQUIRE(text.starts_with("hf_"));
    REQUIRE(std::all_of(text.begin() + 3, text.end(),
                        [](unsigned char c) { return std::isalnum(c) != 0; }));
    texts.insert(text);
  }
  CHECK(texts.size() == 1000);
}

TEST_CASE_FIXTURE(Fixture, "storage/access: everything survives a restart") {
  CHECK(book().empty());
  book().put_user({.name = "ann",
                   .role = Right::Read,
                   .grants = {{"org/*", Right::Write}, {"lab/x", Right::Admin}},
                   .created_at = clock.now()});
  Token given = token("laptop", "ann");
  given.scope = Right::Write;
  given.repos = {"org/*", "lab/?"};
  given.expires_at = clock.now() + 24h;
  book().add_token(given);
  book().put_rules(kRepo, {.is_private = true, .gate = Gate::Manual});
  book().put_rules(kDataset, {.is_private = false, .gate = Gate::Open});
  book().put_request({.repo = kRepo,
                      .who = "ann",
                      .standing = Standing::Accepted,
                      .asked_at = clock.now(),
                      .decided_at = clock.now() + 1s,
                      .decided_by = "bob",
                      .answers = "{\"affiliation\":\"x\"}"});
  reopen();
  CHECK_FALSE(book().empty());
  const auto found = book().find_token(given.secret);
  REQUIRE(found != nullptr);
  CHECK(found->name == "laptop");
  CHECK(found->user == "ann");
  CHECK(found->scope == Right::Write);
  CHECK(found->repos == given.repos);
  CHECK(found->created_at == given.created_at);
  CHECK(found->expires_at == given.expires_at);
  CHECK_FALSE(found->last_used_at);
  CHECK(found->id() == to_hex(given.secret).substr(0, 12));
  const auto user = book().find_user("ann");
  REQUIRE(user != nullptr);
  CHECK(user->role == Right::Read);
  CHECK(user->grants == std::vector<Grant>{{"org/*", Right::Write}, {"lab/x", Right::Admin}});
  CHECK(book().rules(kRepo) == RepositoryRules{.is_private = true, .gate = Gate::Manual});
  CHECK(book().rules(kDataset) == RepositoryRules{.is_private = false, .gate = Gate::Open});
  CHECK(book().any_private());
  REQUIRE(book().requests(kRepo).size() == 1);
  const AccessRequest request = book().requests(kRepo).front();
  CHECK(request.who == "ann");
  CHECK(request.standing == Standing::Accepted);
  CHECK(request.decided_by == "bob");
  CHECK(request.answers == "{\"affiliation\":\"x\"}");
  CHECK(book().requests(kDataset).empty());
}

TEST_CASE_FIXTURE(Fixture, "storage/access: all requests for a repository are replaced at once") {
  for (const char* who : {"ann", "bob", "eve"}) book().put_request({.repo = kRepo, .who = who});
  book().put_request({.repo = kDataset, .who = "ann"});
  const std::vector<AccessRequest> wanted{
      {.repo = kRepo, .who = "bob", .standing = Standing::Accepted}, {.repo = kRepo, .who = "dan"}};
  book().replace_requests(kRepo, wanted);
  for (int round = 0; round < 2; ++round) {
    const auto now = book().requests(kRepo);
    REQUIRE(now.size() == 2);
    CHECK(now[0].who == "bob");
    CHECK(now[0].standing == Standing::Accepted);
    CHECK(now[1].who == "dan");
    CHECK_FALSE(book().find_request(kRepo, "eve").has_value());
    CHECK(book().requests(kDataset).size() == 1);
    reopen();
  }
  const std::vector<AccessRequest> too_long{
      {.repo = kRepo, .who = "eve", .answers = std::string(kAnswersBytesMax + 1, 'x')}};
  CHECK(kind_of([&] { book().replace_requests(kRepo, too_long); }) == ErrorKind::LimitExceeded);
  CHECK(book().requests(kRepo).size() == 2);
  book().replace_requests(kRepo, {});
  reopen();
  CHECK(book().requests(kRepo).empty());
}

TEST_CASE_FIXTURE(Fixture, "storage/access: no file of the store holds a token's text") {
  const std::string text = make_token_text();
  Token given = token("laptop");
  given.secret = sha256(as_bytes(text));
  book().add_token(given);
  reopen();
  CHECK(book().find_token(sha256(as_bytes(text))) != nullptr);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch.path())) {
    if (!entry.is_regular_file()) continue;
    CAPTURE(entry.path().string());
    CHECK(read_file(entry.path()).find(text) == std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "storage/access: what does not fit together is refused") {
  book().add_token(token("laptop"));
  CHECK(kind_of([&] { book().add_token(token("laptop")); }) == ErrorKind::Conflict);
  CHECK(kind_of([&] { book().add_token(token("other", "nobody")); }) == ErrorKind::NotFound);
  CHECK(kind_of([&] { book().remove_token("other"); }) == ErrorKind::NotFound);
  CHECK(kind_of([&] { book().remove_user("nobody"); }) == ErrorKind::NotFound);
  for (const char* name : {"", "a b", "a/b", "token:x", "a\n", "ä"}) {
    CAPTURE(std::string(name));
    CHECK(kind_of([&] { book().add_token(token(name)); }) == ErrorKind::Invalid);
    CHECK(kind_of([&] { book().put_user({.name = name}); }) == ErrorKind::Invalid);
  }
  Token wide = token("wide");
  wide.repos.assign(kPatternsMax + 1, "a/*");
  CHECK(kind_of([&] { book().add_token(wide); }) == ErrorKind::LimitExceeded);
  wide.repos = {""};
  CHECK(kind_of([&] { book().add_token(wide); }) == ErrorKind::Invalid);
  CHECK(kind_of([&] {
          book().put_request(
              {.repo = kRepo, .who = "ann", .answers = std::string(kAnswersBytesMax + 1, 'x')});
        }) == ErrorKind::LimitExceeded);
  CHECK(book().tokens().size() == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "storage/access: a user goes with tokens and requests, and nobody else's") {
  book().put_user({.name = "ann", .created_at = clock.now()});
  book().put_user({.name = "bob", .created_at = clock.now()});
  book().add_token(token("a1", "ann"));
  book().add_token(token("a2", "ann"));
  book().add_token(token("b1", "bob"));
  book().add_token(token("ann"));  // a token of that name is not hers
  for (const char* who : {"ann", "bob", "token:ann"})
    book().put_request({.repo = kRepo, .who = who});
  book().remove_user("ann");
  for (int pass = 0; pass < 2; ++pass) {
    CHECK(book().find_user("ann") == nullptr);
    CHECK(book().find_token(token("a1").secret) == nullptr);
    CHECK(book().find_token(token("b1").secret) != nullptr);
    CHECK(book().tokens().size() == 2);
    CHECK_FALSE(book().find_request(kRepo, "ann"));
    CHECK(book().find_request(kRepo, "bob"));
    CHECK(book().find_request(kRepo, "token:ann"));
    reopen();
  }
  book().remove_token("ann");
  CHECK_FALSE(book().find_request(kRepo, "token:ann"));
  CHECK(book().find_request(kRepo, "bob"));
}

TEST_CASE_FIXTURE(Fixture, "storage/access: a use is noted once a minute") {
  book().add_token(token("laptop"));
  const Digest secret = token("laptop").secret;
  const auto use = [&] { book().note_use(*book().find_token(secret), clock.now()); };
  use();
  const Time first = clock.now();
  CHECK(book().find_token(secret)->last_used_at == first);
  clock.advance(59s);
  use();
  CHECK(book().find_token(secret)->last_used_at == first);
  clock.advance(1s);
  use();
  CHECK(book().find_token(secret)->last_used_at == clock.now());
  reopen();
  CHECK(book().find_token(secret)->last_used_at == clock.now());
  const Token held = *book().find_token(secret);
  book().remove_token("laptop");
  clock.advance(1h);
  book().note_use(held, clock.now());  // a request that was faster than the removal
  CHECK(book().find_token(secret) == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "storage/access: rules that say nothing leave no row") {
  book().put_rules(kRepo, {.is_private = true});
  book().put_rules(kRepo, {.is_private = true, .gate = Gate::Auto});
  CHECK(book().any_private());
  book().put_rules(kRepo, {});
  CHECK_FALSE(book().any_private());
  CHECK(book().rules(kRepo) == RepositoryRules{});
  reopen();
  CHECK_FALSE(book().any_private());
}

}  // namespace
}  // namespace holdfast::storage
