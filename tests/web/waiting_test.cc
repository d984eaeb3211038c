// Clients that wait for their turn to clone, over real sockets.
#include <atomic>
#include <string>
#include <thread>

#include <boost/asio/thread_pool.hpp>
#include <doctest/doctest.h>

#include "storage/git/pkt_line.h"
#include "tests/web/raw_client.h"
#include "web/git_packs.h"
#include "web/internal/worker.h"

namespace holdfast::web {
namespace {

using storage::git::kPktDelim;
using storage::git::kPktFlush;
using storage::git::pkt;
using tests::RawClient;

// A server's inside with the test's own turns.
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

  // Asks for a clone; its answer is not waited for.
  void ask(RawClient& client) const {
    const auto repo = storage::parse_repo_id("org/clone");
    const auto& catalog = sample.store->catalog();
    const auto revision = catalog.find_revision(repo, *catalog.resolve(repo, "main"));
    const std::string body = pkt("command=fetch") + std::string(kPktDelim) +
                             pkt("want " + to_hex(revision->git_commit) + "\n") + pkt("done\n") +
                             std::string(kPktFlush);
    REQUIRE(
        client.send("POST /org/clone.git/git-upload-pack HTTP/1.1\r\nHost: t\r\n"
                    "Git-Protocol: version=2\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body));
  }

  tests::SampleStore sample;
  GitPacks packs{1};
  Services services{.store = *sample.store, .version = "test", .packs = &packs};
  boost::asio::thread_pool pool{1};
  std::atomic<bool> draining{false};
  MemoryBudget bodies{0};
  Guards guards{{}, {}, nullptr};
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

template <class Ready>
void wait_until(Ready ready) {
  while (!ready()) std::this_thread::yield();
}

}  // namespace

TEST_CASE("web/session: who waits to clone is served when his turn comes, by the place he has") {
  Site site;
  auto turn = site.packs.take_turn("the test");
  RawClient first = site.client(), second = site.client();
  site.ask(first);
  wait_until([&] { return site.packs.waiting() == 1; });
  site.ask(second);
  wait_until([&] { return site.packs.waiting() == 2; });
  turn.reset();
  for (RawClient* client : {&first, &second}) {
    const auto got = client->next();
    CHECK(got.status == 200);
    CHECK(got.body.find("PACK") != std::string::npos);
  }
  CHECK(site.packs.waiting() == 0);
}

TEST_CASE("web/session: who left while he waits gives up his place") {
  Site site;
  auto turn = site.packs.take_turn("the test");
  RawClient behind = site.client();
  {
    RawClient gone = site.client();
    site.ask(gone);
    wait_until([&] { return site.packs.waiting() == 1; });
    site.ask(behind);
    wait_until([&] { return site.packs.waiting() == 2; });
  }
  wait_until([&] { return site.packs.waiting() == 1 && site.connections.open() == 1; });
  turn.reset();
  CHECK(behind.next().status == 200);
}

}  // namespace holdfast::web
