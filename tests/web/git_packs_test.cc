#include "web/git_packs.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/git/pkt_line.h"
#include "tests/web/asking.h"
#include "web/internal/answers.h"
#include "web/internal/pack_spool.h"

namespace holdfast::web {
namespace {

using storage::git::kPktDelim;
using storage::git::kPktFlush;
using storage::git::pkt;

// A hub whose clones share what the test gives them.
struct Cloned : tests::Asking {
  explicit Cloned(GitPacks& packs) {
    services.packs = &packs;
    tests::publish(*sample.store, {.id = "org/clone", .files = {{"a.txt", "a\n"}}, .facts = {}});
  }

  Response clone() const {
    const auto repo = storage::parse_repo_id("org/clone");
    const auto& catalog = sample.store->catalog();
    const auto revision = catalog.find_revision(repo, *catalog.resolve(repo, "main"));
    const std::string body = pkt("command=fetch") + std::string(kPktDelim) +
                             pkt("want " + to_hex(revision->git_commit) + "\n") + pkt("done\n") +
                             std::string(kPktFlush);
    return ask({.method = "POST",
                .target = "/org/clone.git/git-upload-pack",
                .headers = {{"Git-Protocol", "version=2"}},
                .body = body});
  }

  std::filesystem::path staging() const { return sample.store->directory() / "staging"; }
};

}  // namespace

TEST_CASE("web/git_packs: so many at once, and the watch hears of each that ends") {
  GitPacks packs(2);
  int heard = 0;
  packs.set_watch([&] { ++heard; });
  auto one = packs.take_turn();
  {
    auto two = packs.take_turn();
    REQUIRE(one);
    REQUIRE(two);
    CHECK_FALSE(packs.take_turn());
    const auto moved = *std::move(two);
    CHECK_FALSE(packs.take_turn());
  }
  CHECK(heard == 1);
  CHECK(packs.take_turn());
  CHECK(heard == 2);
  packs.set_watch({});
  one.reset();
  CHECK(heard == 2);
}

TEST_CASE("web/git_packs: who comes while others clone waits without a thread") {
  GitPacks packs(1);
  const Cloned hub(packs);
  auto turn = packs.take_turn();
  const Response busy = hub.clone();
  CHECK(busy.status == 503);
  CHECK(busy.header("Retry-After") == "5");
  CHECK(busy.wait_max == kGitPackWaitMax);
  turn.reset();
  const Response made = hub.clone();
  CHECK(made.status == 200);
  CHECK(made.wait_max.count() == 0);
  CHECK(tests::body_of(made).find("PACK") != std::string::npos);
  // The turn ended with the making; the answer is still to be sent.
  CHECK(packs.take_turn());
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
        .target = "/org/clone.git/git-upload-pack",
        .headers = {{"Git-Protocol", "version=2"}, {"Content-Encoding", coding}},
        .body = body};
    auto turn = packs.take_turn();
    CHECK(hub.ask(question).wait_max == kGitPackWaitMax);
    turn.reset();
    const Response read = hub.ask(question);
    CHECK(read.wait_max.count() == 0);
    CHECK(tests::body_of(read).find("PACK") == std::string::npos);
  }
}

TEST_CASE(
    "web/git_packs: a pack lies in the store's folder without a name, and counts until sent") {
  GitPacks packs(1, 100'000'000);
  const Cloned hub(packs);
  {
    const Response made = hub.clone();
    REQUIRE(made.status == 200);
    CHECK(std::filesystem::is_empty(hub.staging()));
    CHECK_FALSE(packs.disk().take(100'000'000));
  }
  CHECK(packs.disk().take(100'000'000));
  const Response full = hub.clone();
  CHECK(full.status == 503);
  CHECK(full.header("Retry-After") == "5");
  CHECK(packs.take_turn());
  packs.disk().give_back(100'000'000);
  CHECK(hub.clone().status == 200);
}

TEST_CASE("web/git_packs: what is spooled reads back; without a folder nothing is") {
  const tests::SampleStore sample;
  const std::filesystem::path folder = sample.store->directory() / "staging";
  MemoryBudget disk(10);
  {
    PackSpool spool(folder, &disk);
    spool.put("hello ");
    CHECK_THROWS_AS(spool.put("world"), Refusal);
    spool.put("wo");
    std::string text(6, '\0');
    spool.read(2, std::as_writable_bytes(std::span(text)));
    CHECK(text == "llo wo");
    CHECK(spool.size_bytes() == 8);
  }
  CHECK(disk.take(10));
  CHECK_THROWS_AS(PackSpool(folder / "none", nullptr), Error);
}

}  // namespace holdfast::web
