#include "web/git_packs.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/web/clone_request.h"
#include "tests/web/guarded.h"
#include "tests/web/wrapped_store.h"
#include "web/internal/answers.h"
#include "web/internal/pack_spool.h"

namespace holdfast::web {
namespace {

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
    const std::string body = tests::clone_request(*sample.store, "org/clone");
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

// Somebody with a token that he is about to lose.
struct Losing {
  Losing() {
    how.token =
        tests::add_token(hub.book(), {.name = "laptop",
                                      .created_at = hub.clock.now(),
                                      .expires_at = hub.clock.now() + std::chrono::hours(1)});
    before = hub.caller(how.token);
    how.caller = &before;
  }

  Losing(const Losing&) = delete;
  Losing& operator=(const Losing&) = delete;

  GitPacks packs{{.at_once = 1}};
  Cloned hub{packs, {.anonymous_read = false, .local = false}};
  Caller before;
  Cloning how;  // as he was before
};

// A store in which something happens the first time that somebody wants to read an object.
class Interrupted final : public tests::WrappedStore {
 public:
  Interrupted(storage::Store& store, std::function<void()> step)
      : WrappedStore(store), step_(std::move(step)) {}

  storage::BlobStore& blobs() override {
    if (const auto step = std::exchange(step_, {})) step();
    return WrappedStore::blobs();
  }

 private:
  std::function<void()> step_;
};

// Requests as "a1 b1": the first letter is the client, "-" is nobody.
std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

PackAsker asker(const std::string& word) {
  return {.client = word[0] == '-' ? "" : std::string_view(word).substr(0, 1), .request = word};
}

}  // namespace

TEST_CASE("web/git_packs: so many at once, and the watch hears of each that ends") {
  GitPacks packs({.at_once = 2});
  int heard = 0;
  packs.set_watch([&] { ++heard; });
  auto one = packs.take_turn({"a"});
  {
    auto two = packs.take_turn({"a"});
    REQUIRE(one);
    REQUIRE(two);
    CHECK_FALSE(packs.take_turn({"a"}));
    const auto moved = *std::move(two);
    CHECK_FALSE(packs.take_turn({"a"}));
  }
  CHECK(heard == 1);
  CHECK(packs.take_turn({"a"}));
  CHECK(heard == 2);
  packs.set_watch({});
  one.reset();
  CHECK(heard == 2);
}

TEST_CASE("web/git_packs: clients take turns, and of one client who came first is the first") {
  struct Case {
    const char* name;
    const char* under_way;  // all the time, beside the one turn that the others get
    const char* waiting;    // in the order in which they come
    const char* later;      // who come when the first had his turn
    const char* served;
  };

  for (const Case& c : {
           Case{"one client", "", "a1 a2 a3", "", "a1 a2 a3"},
           Case{"one with many, one with one", "", "a1 a2 a3 b1", "", "a1 b1 a2 a3"},
           Case{"round by round", "", "a1 a2 a3 b1 b2 c1", "", "a1 b1 c1 a2 b2 a3"},
           Case{"a client that comes later", "", "a1 a2 a3 b1", "c1", "a1 b1 a2 c1 a3"},
           Case{"one that comes again", "", "a1 b1 c1", "a2", "a1 b1 c1 a2"},
           Case{"one that comes again before another", "", "a1 b1", "a2 c1", "a1 b1 a2 c1"},
           Case{"one that comes again after another", "", "a1 b1", "c1 a2", "a1 b1 c1 a2"},
           Case{"one that has a turn already", "a0", "a1 a2 b1 b2", "", "b1 b2 a1 a2"},
           Case{"who has two, who has one", "a0 a9 b0", "a1 b1 c1", "", "c1 b1 a1"},
           Case{"nobody's are one client's", "", "-1 -2 -3 b1", "", "-1 b1 -2 -3"},
       }) {
    CAPTURE(std::string(c.name));
    const auto under_way = words(c.under_way);
    GitPacks packs({.at_once = 1 + under_way.size()});
    std::vector<GitPacks::Turn> turns;
    for (const std::string& word : under_way) turns.push_back(packs.take_turn(asker(word)).value());
    auto first = packs.take_turn({"other"});
    std::vector<std::string> waiting;
    std::vector<GitPacks::Place> places;
    const auto come = [&](const char* whose) {
      for (const std::string& word : words(whose)) {
        waiting.push_back(word);
        places.push_back(packs.wait(asker(word)).value());
      }
    };
    come(c.waiting);
    first.reset();
    std::string served;
    while (!waiting.empty()) {
      // Whoever asks: one of them has a turn.
      const auto next = std::ranges::find_if(waiting, [&](const std::string& word) {
        return packs.take_turn(asker(word)).has_value();
      });
      REQUIRE(next != waiting.end());
      served += (served.empty() ? "" : " ") + *next;
      waiting.erase(next);
      if (served.size() == 2) come(c.later);
    }
    CHECK(served == c.served);
    CHECK(packs.waiting() == 0);
  }
}

TEST_CASE("web/git_packs: who comes now is behind those who wait and have no more turns than he") {
  GitPacks packs({.at_once = 2});
  auto one = packs.take_turn({"a", "1"}), two = packs.take_turn({"b", "1"});
  const auto waits = packs.wait({"a", "2"});
  const auto again = packs.wait({"a", "2"});  // no second place
  CHECK(packs.waiting() == 1);
  two.reset();
  CHECK_FALSE(packs.take_turn({"a", "3"}));
  {
    const auto newcomer = packs.take_turn({"c"});  // while one of a's is being made
    CHECK(newcomer);
  }
  one.reset();
  CHECK_FALSE(packs.take_turn({"c"}));
  CHECK_FALSE(packs.take_turn({"a", "3"}));
  CHECK(packs.take_turn({"a", "2"}));
  CHECK(packs.waiting() == 0);
  CHECK(packs.take_turn({"a", "3"}));
}

TEST_CASE("web/git_packs: where several turns are free each that is taken calls for the next") {
  GitPacks packs({.at_once = 2});
  int heard = 0;
  auto one = packs.take_turn({"other"}), two = packs.take_turn({"other"});
  const auto a = packs.wait({"a"}), b = packs.wait({"b"}), c = packs.wait({"c"});
  one.reset();
  two.reset();
  packs.set_watch([&] { ++heard; });
  CHECK_FALSE(packs.take_turn({"b"}));
  const auto of_a = packs.take_turn({"a"});
  CHECK(of_a);
  CHECK(heard == 1);
  CHECK_FALSE(packs.take_turn({"c"}));
  const auto of_b = packs.take_turn({"b"});
  CHECK(of_b);
  CHECK(heard == 1);  // there is none for the third
}

TEST_CASE("web/git_packs: so many of one client wait, and of nobody any number") {
  GitPacks packs({.at_once = 1, .waiting = 2});
  auto turn = packs.take_turn({"a", "0"});
  auto one = packs.wait({"a", "1"});
  const auto two = packs.wait({"a", "2"});
  CHECK_FALSE(packs.wait({"a", "3"}));
  CHECK(packs.wait({"a", "2"}));  // which waits already
  CHECK(packs.wait({"b", "1"}));
  const auto nobodys = packs.wait({"", "1"}), second = packs.wait({"", "2"}),
             third = packs.wait({"", "3"});
  CHECK(third);
  one.reset();
  const auto three = packs.wait({"a", "3"});
  CHECK(three);
  turn.reset();
  const auto next = packs.take_turn({"a", "2"});
  CHECK(next);
  CHECK(packs.wait({"a", "4"}));  // whoever has his turn waits no longer
}

TEST_CASE("web/git_packs: a place ends with the last that keeps it, and others hear of it") {
  GitPacks packs({.at_once = 1});
  int heard = 0;
  packs.set_watch([&] { ++heard; });
  auto turn = packs.take_turn({"other"});
  auto one = packs.wait({"first"}), same = packs.wait({"first"});
  const auto behind = packs.wait({"behind"});
  one.reset();
  CHECK(packs.waiting() == 2);
  turn.reset();
  CHECK(heard == 1);
  CHECK_FALSE(packs.take_turn({"behind"}));
  same.reset();
  CHECK(heard == 2);
  CHECK(packs.take_turn({"behind"}));
  // What is left of a place whose turn came is no hold on a later one of the same request.
  auto old = packs.wait({"first"});
  const auto busy = packs.take_turn({"first"});
  REQUIRE(busy);
  const auto later = packs.wait({"first"});
  old.reset();
  CHECK(packs.waiting() == 1);
}

TEST_CASE("web/git_packs: one client's packs have a share, but for the eldest") {
  GitPacks packs({.at_once = 1, .disk_bytes = 800});
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
  GitPacks packs({.at_once = 1});
  const Cloned hub(packs);
  auto turn = packs.take_turn({"other"});
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
  auto again = packs.take_turn({"other"});
  CHECK(again);  // the turns ended with the making; the answers were still to be sent
  {
    const Response left = hub.clone();
  }
  again.reset();
  CHECK(has_pack(hub.clone({.id = "2"})));
}

TEST_CASE("web/git_packs: what takes long to read is not read before its turn") {
  GitPacks packs({.at_once = 1});
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
    auto turn = packs.take_turn({"other"});
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
    Losing his;
    auto turn = his.packs.take_turn({"other"});
    Response answer = his.hub.clone(his.how);
    REQUIRE(waits(answer));
    loss.take(his.hub);
    answer = his.hub.clone(his.how);
    CHECK(answer.status == loss.status);
    CHECK_FALSE(waits(answer));
    CHECK(his.packs.waiting() == 0);
    turn.reset();
    CHECK(his.hub.clone(his.how).status == loss.status);
    CHECK(his.hub.clone({.token = his.how.token}).status == loss.status);  // as a new request
  }
}

TEST_CASE("web/git_packs: who may no longer read gets nothing of what was made for him meanwhile") {
  for (const Loss& loss : kLosses) {
    CAPTURE(std::string(loss.name));
    Losing his;
    bool interrupted = false;
    Interrupted store(*his.hub.sample.store, [&] {
      interrupted = true;
      CHECK_FALSE(his.packs.take_turn({"other"}));  // his pack is being made
      loss.take(his.hub);
    });
    const Services services{.store = store,
                            .version = "test",
                            .clock = &his.hub.clock,
                            .access = &his.hub.access,
                            .packs = &his.packs};
    CHECK(his.hub.clone(his.how, services).status == loss.status);
    CHECK(interrupted);
    CHECK(his.packs.take_turn({"other"}));
  }
}

TEST_CASE(
    "web/git_packs: a pack lies in the store's folder without a name, and counts until sent") {
  constexpr std::uint64_t kDisk = 100'000'000;
  GitPacks packs({.at_once = 1, .disk_bytes = kDisk});
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
  CHECK(packs.take_turn({"other"}));
  others.reset();
  CHECK(hub.clone().status == 200);
}

TEST_CASE("web/git_packs: who has much on its way is told so, and others are served") {
  // A share that one pack fits in, and two do not.
  GitPacks packs({.at_once = 1, .disk_bytes = std::uint64_t{8} * 15'000});
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
  GitPacks packs({.at_once = 1, .disk_bytes = 10});
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
