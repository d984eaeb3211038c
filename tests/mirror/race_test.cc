#include "mirror/internal/race.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "mirror/sync.h"
#include "storage/base/error.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

using fakes::Fault;

constexpr std::size_t kBytes = 1000;

// Time that stands still until it is set going; then it takes a step at each look.
class StepClock final : public Pauser {
 public:
  SteadyTime now() const override {
    auto time = time_.lock();
    return time->now += time->step;
  }

  void pause(SteadyTime, const std::stop_token&) override {}

  void go() { time_.lock()->step = std::chrono::seconds(20); }

  void stand_still() { time_.lock()->step = std::chrono::seconds(0); }

 private:
  struct State {
    SteadyTime now;
    SteadyTime::duration step{};
  };

  mutable Sync<State> time_{};
};

// What a test has to say about one request.
struct Asked {
  storage::ByteRange range;
  const ByteSink& sink;
  std::stop_token stop;

  void deliver(const std::string& content, std::uint64_t from, std::uint64_t to) const {
    sink(as_bytes(std::string_view(content).substr(from, to - from)));
  }

  void wait_for_stop() const {
    Sync<bool> stopped{false};
    const std::stop_callback on_stop(stop, [&] {
      *stopped.lock() = true;
      stopped.notify_all();
    });
    stopped.lock().wait([](bool is) { return is; });
    fail(ErrorKind::Cancelled, "stopped");
  }
};

using Script = std::function<void(const Asked&)>;

class ScriptedUpstream final : public Upstream {
 public:
  explicit ScriptedUpstream(Script script) : script_(std::move(script)) {}

  void repositories(const RepositoryQuery&, const RepositoryPage&) override {}

  std::vector<storage::Ref> refs(const storage::RepoId&, bool) override { return {}; }

  RemoteRevision revision(const storage::RepoId&, std::string_view) override { return {}; }

  RemoteCommit commit(const storage::RepoId&, const GitOid&) override { return {}; }

  std::optional<bool> follows(const storage::RepoId&, const GitOid&, const GitOid&) override {
    return std::nullopt;
  }

  std::vector<RemoteEntry> tree(const storage::RepoId&, const GitOid&) override { return {}; }

  std::optional<RemoteGit> git(const storage::RepoId&, const GitOid&, GitDepth,
                               std::string&) override {
    return std::nullopt;
  }

  void fetch(const RemoteFile&, storage::ByteRange range, const ByteSink& sink,
             const std::stop_token& stop) override {
    ++requests_;
    script_({.range = range, .sink = sink, .stop = stop});
  }

  std::optional<SmallFile> small_file(const BranchTip&, const std::string&) override {
    return std::nullopt;
  }

  Json::Object evidence() const override { return {}; }

  void start_evidence(bool) override {}

  std::uint64_t requests() const override { return requests_; }

 private:
  Script script_;
  std::atomic<std::uint64_t> requests_ = 0;
};

// An upstream and its rivals, as scripted, and what a race between them brought.
struct Site {
  Site(Script first_script, std::vector<Script> rival_scripts) : first(std::move(first_script)) {
    std::vector<Rivals::Rival> list;
    for (Script& script : rival_scripts) {
      list.push_back({.name = "rival", .connect = [script = std::move(script)] {
                        return std::make_unique<ScriptedUpstream>(script);
                      }});
    }
    rivals = std::make_unique<Rivals>(std::move(list), [](const std::string&) {});
  }

  void run(const ByteSink& sink) {
    race({.first = first,
          .rivals = *rivals,
          .pauser = clock,
          .pace = {.patience = std::chrono::seconds(15)},
          .wasted = [this](std::uint64_t bytes) { wasted += bytes; }},
         {.repo = {}, .commit = {}, .path = "f", .size_bytes = kBytes},
         {.offset = 0, .length = kBytes}, sink, stop.get_token());
  }

  // What came, and then what was thrown.
  std::string run() {
    std::string got;
    try {
      run([&](std::span<const std::byte> bytes) { got += as_text(bytes); });
    } catch (const Error& error) {
      got += "; " + std::string(to_text(error.kind()));
    }
    return got;
  }

  StepClock clock;
  ScriptedUpstream first;
  std::unique_ptr<Rivals> rivals;
  std::stop_source stop;
  std::atomic<std::uint64_t> wasted = 0;
};

const std::string kContent = noise(kBytes, 7);

// Delivers what it is asked for.
void answer(const Asked& asked) {
  asked.deliver(kContent, asked.range.offset, asked.range.offset + asked.range.length);
}

Script refuse(ErrorKind kind) {
  return [kind](const Asked&) { fail(kind, "no"); };
}

TEST_CASE("mirror/race: who is not stalled is not raced, and its failure is its own") {
  Site good(answer, {answer});
  CHECK(good.run() == kContent);
  CHECK(good.rivals->requests() == 0);
  for (const ErrorKind kind :
       {ErrorKind::Unavailable, ErrorKind::Unsupported, ErrorKind::NotFound}) {
    Site bad(refuse(kind), {answer});
    CHECK(bad.run() == "; " + std::string(to_text(kind)));
    CHECK(bad.rivals->requests() == 0);
  }
}

TEST_CASE("mirror/race: a rival brings what is missing, and leads from then on") {
  Site* here = nullptr;
  std::atomic<std::uint64_t> asked_from = 0;
  Site site(
      [&](const Asked& asked) {
        asked.deliver(kContent, 0, 300);
        here->clock.go();
        asked.wait_for_stop();
      },
      {[&](const Asked& asked) {
        asked_from = asked.range.offset;
        answer(asked);
      }});
  here = &site;
  CHECK(site.run() == kContent);
  CHECK(asked_from == 300);
  CHECK(site.wasted == 0);
  site.clock.stand_still();
  CHECK(site.run() == kContent);
  CHECK(site.first.requests() == 1);
  CHECK(asked_from == 0);
}

TEST_CASE("mirror/race: a rival that fails costs nothing, the next one is asked") {
  Site* here = nullptr;
  const Script stall = [&](const Asked& asked) {
    here->clock.go();
    asked.wait_for_stop();
  };
  Site site(stall, {refuse(ErrorKind::NotFound), answer});
  here = &site;
  CHECK(site.run() == kContent);
  CHECK(site.rivals->requests() == 2);
  CHECK(site.rivals->leader() == 1);
}

TEST_CASE("mirror/race: a leader that has not got the file is no end") {
  Site site(answer, {refuse(ErrorKind::NotFound)});
  site.rivals->won(0);
  CHECK(site.run() == kContent);
  CHECK(site.rivals->requests() == 1);
  CHECK_FALSE(site.rivals->leader());
  Site nobody(refuse(ErrorKind::Denied), {refuse(ErrorKind::NotFound)});
  nobody.rivals->won(0);
  CHECK(nobody.run() == "; " + std::string(to_text(ErrorKind::Denied)));
}

TEST_CASE(
    "mirror/race: each byte is delivered once, whoever has it, and counted when it came twice") {
  Site* here = nullptr;
  Sync<int> step{0};
  const auto reach = [&](int next) {
    *step.lock() = next;
    step.notify_all();
  };
  const auto wait_for = [&](int wanted) {
    step.lock().wait([&](int now) { return now >= wanted; });
  };
  Site site(
      [&](const Asked& asked) {
        asked.deliver(kContent, 0, 100);
        here->clock.go();
        wait_for(1);
        asked.deliver(kContent, 100, 200);  // came from the rival meanwhile
        asked.deliver(kContent, 200, 600);  // half of it is new
        reach(2);
        asked.wait_for_stop();
      },
      {[&](const Asked& asked) {
        asked.deliver(kContent, asked.range.offset, 400);
        reach(1);
        wait_for(2);
        asked.deliver(kContent, 400, kBytes);
      }});
  here = &site;
  CHECK(site.run() == kContent);
  CHECK(site.wasted == 100 + 200 + 200);
}

TEST_CASE("mirror/race: a sink that fails, or a stop, ends everybody") {
  Site* here = nullptr;
  const Script stall = [&](const Asked& asked) {
    here->clock.go();
    asked.wait_for_stop();
  };
  Site site(stall, {answer});
  here = &site;
  CHECK_THROWS_WITH_AS(
      site.run([](std::span<const std::byte>) { fail(ErrorKind::NoSpace, "the disk is full"); }),
      "the disk is full", Error);
  Site stopped(
      [&](const Asked& asked) {
        here->stop.request_stop();
        asked.wait_for_stop();
      },
      {answer});
  here = &stopped;
  CHECK(stopped.run() == "; " + std::string(to_text(ErrorKind::Cancelled)));
}

TEST_CASE("mirror/sync: an upstream that falls silent in the middle is raced, byte for byte") {
  SyncFixture fixture;
  fakes::HubImposter second;
  CHECK(second.add_revision("org/m", sample_files()) == fixture.commit);
  fixture.hub.script({.fault = Fault::Silent, .match = "/objects/", .count = -1, .amount = 10'000});
  SyncRequest request = fixture.request();
  request.upstream.name = "first";
  request.upstream.tuning.pauser = &real_pauser();
  request.upstream.tuning.stall_window = Milliseconds(20'000);
  request.upstream.tuning.race_patience = Milliseconds(300);
  request.fallbacks = {request.upstream};
  request.fallbacks[0].name = "second";
  request.fallbacks[0].endpoint = second.endpoint();
  const Json::Object result = fixture.run(request);
  CHECK(text_of(result, "upstream") == "first");
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
  const std::uint64_t needed = distinct_bytes(sample_files());
  CHECK(fixture.hub.file_bytes_sent() + second.file_bytes_sent() <= needed * 13 / 10);
  CHECK(number_of(result, "bytes_fetched") >= needed);
  CHECK(number_of(result, "requests") >= fixture.hub.requests() + second.requests());
  const auto evidence =
      fixture.store->catalog().find_evidence({.owner = "org", .name = "m"}, fixture.commit);
  REQUIRE(evidence);
  CHECK(text_of(evidence->record, "endpoint") == fixture.hub.endpoint());
  const Json::Array& raced = evidence->record.find("raced")->as_array("raced");
  REQUIRE(raced.size() == 1);
  CHECK(raced[0].find("endpoint")->as_string() == second.endpoint());
}

TEST_CASE(
    "mirror/sync: wrong bytes of a rival are found, and the file comes from the upstream alone") {
  SyncFixture fixture;
  fakes::HubImposter second;
  CHECK(second.add_revision("org/m", sample_files()) == fixture.commit);
  const std::string shard = to_hex(sha256(as_bytes(noise(950'000, 1))));
  fixture.hub.script({.fault = Fault::Silent, .match = "/objects/" + shard, .amount = 10'000});
  second.script({.fault = Fault::WrongBytes, .match = "/objects/", .count = -1});
  SyncRequest request = fixture.request();
  request.upstream.tuning.pauser = &real_pauser();
  request.upstream.tuning.stall_window = Milliseconds(20'000);
  request.upstream.tuning.race_patience = Milliseconds(300);
  request.fallbacks = {request.upstream};
  request.fallbacks[0].endpoint = second.endpoint();
  request.selection = {.include = {"model-1.safetensors"}};
  fixture.run(request);
  const auto file = fixture.store->catalog().find_file({.owner = "org", .name = "m"},
                                                       fixture.commit, "model-1.safetensors");
  REQUIRE((file && file->object));
  CHECK(to_hex(*file->object) == shard);
}

}  // namespace
}  // namespace holdfast::mirror
