#include "web/git_packs.h"

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/git/pkt_line.h"
#include "tests/web/guarded.h"
#include "web/internal/answers.h"
#include "web/internal/pack_spool.h"

namespace holdfast::web {
namespace {

using storage::git::kPktDelim;
using storage::git::kPktFlush;
using storage::git::pkt;
using Taken = GitPacks::Room::Taken;

constexpr std::string_view kTarget = "/org/clone.git/git-upload-pack";

struct Cloning {
  std::string_view id = "1";  // of the request
  std::string_view address = "10.0.0.1";
  std::string token = "";
  const Caller* caller = nullptr;  // as he was known when the request came; nullptr: as he is now
  bool by_proxy = false;           // which does not say for whom
};

// A hub whose clones share what the test gives them.
struct Cloned : tests::Guarded {
  explicit Cloned(GitPacks& packs, AccessOptions options = {.anonymous_read = true, .local = true})
      : Guarded(options) {
    services.packs = &packs;
    // Not to be compressed, so that the test knows how large a pack is.
    const auto noise = tests::random_bytes(10'000, 1);
    tests::publish(*sample.store,
                   {.id = "org/clone", .files = {{"a", std::string(as_text(noise))}}, .facts = {}});
  }

  Response clone(const Cloning& how = {}) const { return clone(how, services); }

  Response clone(const Cloning& how, const Services& from) const {
    const auto repo = storage::parse_repo_id("org/clone");
    const auto& catalog = sample.store->catalog();
    const auto revision = catalog.find_revision(repo, *catalog.resolve(repo, "main"));
    const std::string body = pkt("command=fetch") + std::string(kPktDelim) +
                             pkt("want " + to_hex(revision->git_commit) + "\n") + pkt("done\n") +
                             std::string(kPktFlush);
    const std::string bearer = "Bearer " + how.token;
    std::vector<Header> headers = {{"Git-Protocol", "version=2"}};
    if (!how.token.empty()) headers.push_back({"Authorization", bearer});
    return handle({.method = "POST",
                   .target = kTarget,
                   .headers = headers,
                   .body = body,
                   .id = how.id,
                   .forwarded = how.by_proxy,
                   .client = how.address,
                   .caller = how.caller},
                  from);
  }

  Caller caller(const std::string& token) {
    const std::string bearer = "Bearer " + token;
    const Header headers[] = {{"Authorization", bearer}};
    return access.identify({.headers = headers});
  }

  std::filesystem::path staging() const { return sample.store->directory() / "staging"; }
};

bool has_pack(const Response& response) {
  return response.status == 200 && tests::body_of(response).find("PACK") != std::string::npos;
}

bool waits(const Response& response) { return response.wait_max == kGitPackWaitMax; }

// What somebody loses while he waits, or while his pack is made, and what he is told then.
struct Loss {
  const char* name;
  void (*take)(Cloned& hub);
  int status;
};

constexpr Loss kLosses[] = {
    {"his token", [](Cloned& hub) { hub.book().remove_token("laptop"); }, 401},
    {"the repository's openness",
     [](Cloned& hub) { hub.set_gate("model/org/clone", storage::Gate::Manual); }, 403},
    {"the time of his token", [](Cloned& hub) { hub.clock.advance(std::chrono::hours(2)); }, 401},
};

std::string add_laptop(Cloned& hub) {
  return tests::add_token(hub.book(), {.name = "laptop",
                                       .created_at = hub.clock.now(),
                                       .expires_at = hub.clock.now() + std::chrono::hours(1)});
}

// A store in which something happens the first time that somebody wants to read an object.
class Interrupted final : public storage::Store {
 public:
  Interrupted(storage::Store& store, std::function<void()> step)
      : store_(store), step_(std::move(step)) {}

  storage::BlobStore& blobs() override {
    if (const auto step = std::exchange(step_, {})) step();
    return store_.blobs();
  }

  storage::Catalog& catalog() override { return store_.catalog(); }

  storage::JobQueue& jobs() override { return store_.jobs(); }

  const std::filesystem::path& directory() const override { return store_.directory(); }

  std::uint64_t generation() const noexcept override { return store_.generation(); }

 private:
  storage::Store& store_;
  std::function<void()> step_;
};

}  // namespace

TEST_CASE("web/git_packs: so many at once, and the watch hears of each that ends") {
  GitPacks packs(2);
  int heard = 0;
  packs.set_watch([&] { ++heard; });
  auto one = packs.take_turn("a");
  {
    auto two = packs.take_turn("a");
    REQUIRE(one);
    REQUIRE(two);
    CHECK_FALSE(packs.take_turn("a"));
    const auto moved = *std::move(two);
    CHECK_FALSE(packs.take_turn("a"));
  }
  CHECK(heard == 1);
  CHECK(packs.take_turn("a"));
  CHECK(heard == 2);
  packs.set_watch({});
  one.reset();
  CHECK(heard == 2);
}

TEST_CASE("web/git_packs: who came first has the first turn") {
  GitPacks packs(2);
  std::optional turn(packs.take_turn("other")), another(packs.take_turn("other"));
  const auto first = packs.wait("first"), second = packs.wait("second"),
             third = packs.wait("third");
  const auto first_again = packs.wait("first");  // no second place
  CHECK(packs.waiting() == 3);
  turn.reset();
  CHECK_FALSE(packs.take_turn("newcomer"));
  CHECK_FALSE(packs.take_turn("second"));
  auto of_first = packs.take_turn("first");
  CHECK(of_first);
  CHECK_FALSE(packs.take_turn("first"));
  // Two turns, and two who wait: none of them is a newcomer's, and they may take them in any order.
  another.reset();
  of_first.reset();
  CHECK_FALSE(packs.take_turn("newcomer"));
  const auto of_third = packs.take_turn("third");
  CHECK(of_third);
  CHECK_FALSE(packs.take_turn("newcomer"));
  CHECK(packs.take_turn("second"));
  CHECK(packs.waiting() == 0);
  CHECK(packs.take_turn("newcomer"));
}

TEST_CASE("web/git_packs: a place ends with the last that keeps it, and others hear of it") {
  GitPacks packs(1);
  int heard = 0;
  packs.set_watch([&] { ++heard; });
  auto turn = packs.take_turn("other");
  std::optional one(packs.wait("first")), same(packs.wait("first"));
  const auto behind = packs.wait("behind");
  one.reset();
  CHECK(packs.waiting() == 2);
  turn.reset();
  CHECK(heard == 1);
  CHECK_FALSE(packs.take_turn("behind"));
  same.reset();
  CHECK(heard == 2);
  CHECK(packs.take_turn("behind"));
  // What is left of a place whose turn came is no hold on a later one of the same asker.
  std::optional old(packs.wait("first"));
  const auto busy = packs.take_turn("first");
  REQUIRE(busy);
  const auto later = packs.wait("first");
  old.reset();
  CHECK(packs.waiting() == 1);
}

TEST_CASE("web/git_packs: one client's packs have a share, but for the eldest") {
  GitPacks packs(1, 800);
  REQUIRE(packs.share() == 100);
  std::optional eldest(packs.make_room("ann"));
  auto second = packs.make_room("ann"), other = packs.make_room("bob");
  CHECK(eldest->take(90) == Taken::Yes);
  CHECK(second.take(10) == Taken::Yes);
  CHECK(second.take(1) == Taken::ClientFull);
  CHECK(eldest->take(110) == Taken::Yes);
  CHECK(other.take(100) == Taken::Yes);
  eldest.reset();
  CHECK(second.take(200) == Taken::Yes);  // it is the eldest now
  auto third = packs.make_room("ann");
  CHECK(third.take(1) == Taken::ClientFull);
  // Nobody's have no share of their own; all together have no more than there is.
  auto nobodys = packs.make_room(""), nobodys_other = packs.make_room("");
  CHECK(nobodys.take(300) == Taken::Yes);
  CHECK(nobodys_other.take(190) == Taken::Yes);
  CHECK(nobodys_other.take(1) == Taken::Full);
}

TEST_CASE("web/git_packs: who comes while others clone waits without a thread") {
  GitPacks packs(1);
  const Cloned hub(packs);
  auto turn = packs.take_turn("other");
  {
    const Response busy = hub.clone();
    CHECK(busy.status == 503);
    CHECK(busy.header("Retry-After") == "5");
    CHECK(waits(busy));
    turn.reset();
    // The next to come finds him there; so does one of his own with another id.
    CHECK(waits(hub.clone({.id = "2"})));
    CHECK(waits(hub.clone({.address = "10.0.0.2"})));
    const Response made = hub.clone();
    CHECK(has_pack(made));
    CHECK(made.wait_max.count() == 0);
    CHECK(has_pack(hub.clone({.id = "2"})));
  }
  auto again = packs.take_turn("other");
  CHECK(again);  // the turns ended with the making; the answers were still to be sent
  {
    const Response left = hub.clone();
  }
  again.reset();
  CHECK(has_pack(hub.clone({.id = "2"})));
}

TEST_CASE("web/git_packs: what takes long to read is not read before its turn") {
  GitPacks packs(1);
  const Cloned hub(packs);
  const std::vector<std::pair<std::string, std::string>> bodies = {{"gzip", "no such thing"},
                                                                   {"", std::string(9000, 'x')}};
  for (const auto& [coding, body] : bodies) {
    CAPTURE(coding);
    const tests::Ask question{
        .method = "POST",
        .target = kTarget,
        .headers = {{"Git-Protocol", "version=2"}, {"Content-Encoding", coding}},
        .body = body};
    auto turn = packs.take_turn("other");
    CHECK(waits(hub.ask(question)));
    turn.reset();
    const Response read = hub.ask(question);
    CHECK_FALSE(waits(read));
    CHECK_FALSE(has_pack(read));
  }
}

TEST_CASE("web/git_packs: who may no longer read gets no turn") {
  for (const Loss& loss : kLosses) {
    CAPTURE(std::string(loss.name));
    GitPacks packs(1);
    Cloned hub(packs, {.anonymous_read = false, .local = false});
    const std::string token = add_laptop(hub);
    const Caller before = hub.caller(token);
    const Cloning how{.token = token, .caller = &before};
    auto turn = packs.take_turn("other");
    Response answer = hub.clone(how);
    REQUIRE(waits(answer));
    loss.take(hub);
    answer = hub.clone(how);
    CHECK(answer.status == loss.status);
    CHECK_FALSE(waits(answer));
    CHECK(packs.waiting() == 0);
    turn.reset();
    CHECK(hub.clone(how).status == loss.status);
    CHECK(hub.clone({.token = token}).status == loss.status);  // as a new request
  }
}

TEST_CASE("web/git_packs: who may no longer read gets nothing of what was made for him meanwhile") {
  for (const Loss& loss : kLosses) {
    CAPTURE(std::string(loss.name));
    GitPacks packs(1);
    Cloned hub(packs, {.anonymous_read = false, .local = false});
    const std::string token = add_laptop(hub);
    const Caller before = hub.caller(token);
    bool interrupted = false;
    Interrupted store(*hub.sample.store, [&] {
      interrupted = true;
      CHECK_FALSE(packs.take_turn("other"));  // his pack is being made
      loss.take(hub);
    });
    const Services services{.store = store,
                            .version = "test",
                            .clock = &hub.clock,
                            .access = &hub.access,
                            .packs = &packs};
    CHECK(hub.clone({.token = token, .caller = &before}, services).status == loss.status);
    CHECK(interrupted);
    CHECK(packs.take_turn("other"));
  }
}

TEST_CASE(
    "web/git_packs: a pack lies in the store's folder without a name, and counts until sent") {
  constexpr std::uint64_t kDisk = 100'000'000;
  GitPacks packs(1, kDisk);
  const Cloned hub(packs);
  const auto nothing_lies_there = [&] { return packs.make_room("").take(kDisk) == Taken::Yes; };
  {
    const Response made = hub.clone();
    REQUIRE(made.status == 200);
    CHECK(std::filesystem::is_empty(hub.staging()));
    CHECK_FALSE(nothing_lies_there());
  }
  CHECK(nothing_lies_there());
  std::optional others(packs.make_room(""));
  REQUIRE(others->take(kDisk) == Taken::Yes);
  const Response full = hub.clone();
  CHECK(full.status == 503);
  CHECK(full.header("Retry-After") == "5");
  CHECK(packs.take_turn("other"));
  others.reset();
  CHECK(hub.clone().status == 200);
}

TEST_CASE("web/git_packs: who has much on its way is told so, and others are served") {
  GitPacks packs(1, std::uint64_t{8} * 15'000);  // a share that one pack fits in, and two do not
  Cloned hub(packs);
  const std::string ann = hub.token("a", "", storage::Right::Read);
  std::optional first(hub.clone());
  REQUIRE(has_pack(*first));
  const Response refused = hub.clone();
  CHECK(tests::body_of(refused).find("ERR git pack: other clones and fetches of yours") !=
        std::string::npos);
  // Another address, who has signed in behind the same one; the operator and a proxy, however
  // often.
  const Response other = hub.clone({.address = "10.0.0.2"});
  CHECK(has_pack(other));
  const Response known = hub.clone({.token = ann});
  CHECK(has_pack(known));
  CHECK_FALSE(has_pack(hub.clone({.address = "10.0.0.3", .token = ann})));
  const Caller owner{.trusted = true};
  const Response one = hub.clone({.caller = &owner}), two = hub.clone({.caller = &owner});
  CHECK(has_pack(one));
  CHECK(has_pack(two));
  const Cloning behind{.address = "10.0.0.4", .by_proxy = true};
  const Response third = hub.clone(behind), fourth = hub.clone(behind);
  CHECK(has_pack(third));
  CHECK(has_pack(fourth));
  first.reset();
  CHECK(has_pack(hub.clone()));
}

TEST_CASE("web/git_packs: what is spooled reads back; without a folder nothing is") {
  const tests::SampleStore sample;
  const std::filesystem::path folder = sample.store->directory() / "staging";
  GitPacks packs(1, 10);
  {
    PackSpool spool(folder, packs.make_room(""));
    spool.put("hello ");
    CHECK_THROWS_AS(spool.put("world"), Refusal);
    spool.put("wo");
    std::string text(6, '\0');
    spool.read(2, std::as_writable_bytes(std::span(text)));
    CHECK(text == "llo wo");
    CHECK(spool.size_bytes() == 8);
  }
  CHECK(packs.make_room("").take(10) == Taken::Yes);
  CHECK_THROWS_AS(PackSpool(folder / "none", std::nullopt), Error);
}

}  // namespace holdfast::web
