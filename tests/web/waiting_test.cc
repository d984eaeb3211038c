// Clients that wait for their turn to clone, over real sockets.
#include <atomic>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/thread_pool.hpp>
#include <doctest/doctest.h>

#include "tests/web/clone_request.h"
#include "tests/web/raw_client.h"
#include "tests/web/wait_until.h"
#include "web/git_packs.h"
#include "web/internal/worker.h"

namespace holdfast::web {
namespace {

using tests::RawClient;
using tests::wait_until;

constexpr const char* kAddress = "10.0.0.1";

// A server's inside with the test's own turns, behind a proxy.
struct Site {
  Site() {
    tests::publish(*sample.store, {.id = "org/clone", .files = {{"a.txt", "a\n"}}, .facts = {}});
    REQUIRE(listener.port != 0);
    worker.listen(std::move(listener.fd), false);
    packs.set_watch([this] { worker.tell_news(); });
    worker.start();
  }

  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  ~Site() { packs.set_watch({}); }

  RawClient client() const { return RawClient(listener.port); }

  // Asks for a clone for whoever has this address; its answer is not waited for.
  void ask(RawClient& client, const std::string& address = kAddress) const {
    const std::string body = tests::clone_request(*sample.store, "org/clone");
    REQUIRE(client.send(
        "POST /org/clone.git/git-upload-pack HTTP/1.1\r\nHost: t\r\n"
        "Git-Protocol: version=2\r\nX-Forwarded-For: " +
        address + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body));
  }

  // As ask(), when the question has a place behind the `before` that wait.
  void ask_behind(std::size_t before, RawClient& client, const std::string& address = kAddress) {
    ask(client, address);
    REQUIRE(wait_until([&] { return packs.waiting() == before + 1; }));
  }

  tests::SampleStore sample;
  GitPacks packs{{.at_once = 1, .waiting = 2}};
  Services services{.store = *sample.store, .version = "test", .packs = &packs};
  boost::asio::thread_pool pool{1};
  std::atomic<bool> draining{false};
  MemoryBudget bodies{0};
  Guards guards{{.trusted_proxies = {"127.0.0.1"}}, {}, nullptr};
  SessionContext context{.services = services,
                         .timeouts = {},
                         .pool = pool,
                         .draining = draining,
                         .bodies = bodies,
                         .guards = guards};
  Connections connections{100, nullptr};
  tests::Listener listener;
  Worker worker{context, connections};
};

}  // namespace

TEST_CASE("web/session: who waits to clone is served when his turn comes, by the place he has") {
  Site site;
  auto turn = site.packs.take_turn({"the test"});
  RawClient first = site.client(), second = site.client();
  site.ask_behind(0, first);
  site.ask_behind(1, second);
  turn.reset();
  for (RawClient* client : {&first, &second}) {
    const auto got = client->next();
    CHECK(got.status == 200);
    CHECK(got.body.find("PACK") != std::string::npos);
  }
  CHECK(site.packs.waiting() == 0);
}

TEST_CASE("web/session: one client's clones make another wait for one of them") {
  Site site;
  auto turn = site.packs.take_turn({"the test"});
  RawClient first = site.client(), second = site.client(), other = site.client();
  site.ask_behind(0, first);
  site.ask_behind(1, second);
  site.ask_behind(2, other, "10.0.0.2");
  // When the test's own turn comes again each of the others had one.
  const PackAsker test{.client = "the test", .request = "again"};
  const auto place = site.packs.wait(test);
  turn.reset();
  REQUIRE(wait_until([&] {
    if (auto again = site.packs.take_turn(test)) turn.emplace(*std::move(again));
    return turn.has_value();
  }));
  CHECK(site.packs.waiting() == 1);
  CHECK(first.next().status == 200);
  CHECK(other.next().status == 200);
  turn.reset();
  CHECK(second.next().status == 200);
}

TEST_CASE("web/session: a client that has as many clones waiting as may be is told at once") {
  Site site;
  auto turn = site.packs.take_turn({"the test"});
  RawClient first = site.client(), second = site.client(), third = site.client(),
            other = site.client();
  site.ask_behind(0, first);
  site.ask_behind(1, second);
  site.ask(third);
  const auto refused = third.next();
  CHECK(refused.status == 429);
  CHECK(refused.header("Retry-After") == "5");
  CHECK(refused.body.find("Too many clones of yours are waiting") != std::string::npos);
  site.ask_behind(2, other, "10.0.0.2");
  turn.reset();
  for (RawClient* client : {&first, &second, &other}) CHECK(client->next().status == 200);
  site.ask(third);
  CHECK(third.next().status == 200);
}

TEST_CASE("web/session: who left while he waits gives up his place") {
  Site site;
  auto turn = site.packs.take_turn({"the test"});
  RawClient behind = site.client();
  {
    RawClient gone = site.client();
    site.ask_behind(0, gone);
    site.ask_behind(1, behind);
  }
  REQUIRE(wait_until([&] { return site.packs.waiting() == 1 && site.connections.open() == 1; }));
  turn.reset();
  CHECK(behind.next().status == 200);
}

}  // namespace holdfast::web
