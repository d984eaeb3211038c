#include "mirror/daemon.h"

#include <array>

#include <doctest/doctest.h>

#include "storage/base/file.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class SetClock final : public Clock {
 public:
  Time now() const override { return time; }

  Time time = *parse_time("2026-01-01T00:00:00.000Z");
};

MirrorRule every_six_hours(const std::string& repo) {
  MirrorRule rule;
  rule.repo = repo;
  rule.every = hours(6);
  return rule;
}

struct DaemonSite {
  DaemonSite() { make(); }

  void make() {
    daemon.reset();
    daemon = std::make_unique<Daemon>(
        *fixture.store,
        Daemon::Options{.rules = rules,
                        .state_file = state_file,
                        .make_request = [this](const auto& rule) { return request(rule); },
                        .clock = &clock});
  }

  MirrorRequest request(const MirrorRule& rule) {
    MirrorRequest out;
    out.rule = rule;
    out.upstreams = {fixture.request().upstream};
    return out;
  }

  // Runs what is queued; the results by key.
  std::vector<storage::Job> run_queued() {
    std::vector<storage::Job> done;
    for (const storage::Job& job : fixture.store->jobs().list(100)) {
      if (job.kind != "mirror" || job.state != storage::JobState::Queued) continue;
      fixture.store->jobs().run_one(job.id,
                                    [this](const storage::Job& what, storage::JobContext& context) {
                                      return daemon->run(what.parameters, context);
                                    },
                                    {});
      done.push_back(*fixture.store->jobs().find(job.id));
    }
    return done;
  }

  Json mirror_status() { return daemon->status().find("mirrors")->as_array().at(0); }

  SyncFixture fixture{fakes::ImposterOptions{.page_size = 10}};
  std::filesystem::path state_file = fixture.temp.path() / "mirrors.json";
  SetClock clock;
  std::vector<MirrorRule> rules = {every_six_hours("org/m")};
  std::unique_ptr<Daemon> daemon;
};

}  // namespace

TEST_CASE("mirror/daemon: when a rule is due") {
  const Time now = *parse_time("2026-01-01T00:00:00.000Z");
  MirrorRule rule = every_six_hours("org/*");
  CHECK(next_run(rule, {}, now, 0.7) == now);
  MirrorState state{.tried_at = now};
  CHECK(next_run(rule, state, now, 0.5) == now + hours(6));
  CHECK(next_run(rule, state, now, 0) == now + minutes(324));
  CHECK(*next_run(rule, state, now, 0.999) < now + minutes(396));
  constexpr std::array<std::pair<unsigned, minutes>, 4> kRetries = {
      {{1U, minutes(1)}, {2U, minutes(2)}, {5U, minutes(16)}, {90U, minutes(360)}}};
  for (const auto& [failures, wait] : kRetries) {
    CAPTURE(failures);
    state.failures = failures;
    CHECK(next_run(rule, state, now, 0.5) == now + wait);
  }
  state.tried_at = now + hours(1000);  // the clock was set back
  CHECK(next_run(rule, state, now, 0.5) == now);
  rule.every = seconds(0);
  CHECK_FALSE(next_run(rule, {}, now, 0.5));
}

TEST_CASE("mirror/daemon: between full runs only changes are asked for") {
  const Time now = *parse_time("2026-01-02T00:00:00.000Z");
  CHECK_FALSE(changes_since({}, now));
  MirrorState state{.watermark = now - hours(2), .full_at = now - hours(23)};
  CHECK(changes_since(state, now) == now - hours(2) - minutes(10));
  for (const auto full_at : {now - hours(24), now + hours(24)}) {
    state.full_at = full_at;
    CHECK_FALSE(changes_since(state, now));
  }
}

TEST_CASE("mirror/daemon: a due rule is queued once, run, and due again later") {
  DaemonSite site;
  site.daemon->enqueue_due();
  site.daemon->enqueue_due();
  CHECK(site.mirror_status().find("active")->as_bool());
  auto jobs = site.run_queued();
  REQUIRE(jobs.size() == 1);
  CHECK(jobs.front().state == storage::JobState::Done);
  CHECK(check_mirrored(*site.fixture.store, site.fixture.commit, sample_files()) == "");
  CHECK_FALSE(site.mirror_status().find("active")->as_bool());
  const Time next = site.daemon->enqueue_due();
  CHECK(next <= site.clock.time + minutes(1));
  CHECK(site.run_queued().empty());
  site.clock.time += hours(7);
  site.fixture.hub.reset_counters();
  site.daemon->enqueue_due();
  CHECK(site.run_queued().size() == 1);
  CHECK(site.fixture.hub.file_bytes_sent() == 0);
}

TEST_CASE("mirror/daemon: holes of what no rule means any more close when it starts") {
  DaemonSite site;
  storage::Catalog& catalog = site.fixture.store->catalog();
  const std::array<storage::Hole, 2> holes = {
      {{.repo = {.owner = "org", .name = "m"}, .commit = {}, .path = "", .reason = "down"},
       {.repo = {.owner = "org", .name = "dropped"}, .commit = {}, .path = "", .reason = "down"}}};
  catalog.put_holes(holes);
  site.daemon->start();
  REQUIRE(catalog.holes().size() == 1);
  CHECK(catalog.holes()[0].repo.name == "m");
}

TEST_CASE("mirror/daemon: a run to which nobody answered is no complete one, and says why") {
  DaemonSite site;
  site.daemon->enqueue_due();
  site.run_queued();
  const std::string done = site.mirror_status().find("done_at")->as_string();
  site.fixture.hub.script({.fault = fakes::Fault::Busy, .match = "", .count = -1});
  site.clock.time += hours(7);
  site.daemon->enqueue_due();
  const auto unanswered = site.run_queued();
  REQUIRE(unanswered.size() == 1);
  CHECK(unanswered[0].state == storage::JobState::Failed);
  CHECK(unanswered[0].error_kind == "unavailable");
  CHECK(unanswered[0].error.find("503") != std::string::npos);
  const Json down = site.mirror_status();
  CHECK(down.find("done_at")->as_string() == done);
  CHECK(down.find("tried_at")->as_string() == holdfast::to_text(site.clock.time));
  CHECK(down.find("failures")->as_uint() == 1);
  CHECK(down.find("error")->as_string().find("503") != std::string::npos);
  CHECK(down.find("holes")->as_uint() == 1);
  // It is tried again soon, and then all is well.
  site.fixture.hub.clear_scripts();
  site.clock.time += minutes(2);
  site.daemon->enqueue_due();
  const auto answered = site.run_queued();
  REQUIRE(answered.size() == 1);
  CHECK(answered[0].state == storage::JobState::Done);
  const Json up = site.mirror_status();
  CHECK(up.find("done_at")->as_string() == holdfast::to_text(site.clock.time));
  CHECK(up.find("failures")->as_uint() == 0);
  CHECK(up.find("error") == nullptr);
  CHECK(up.find("holes")->as_uint() == 0);
}

TEST_CASE("mirror/daemon: a catalog of cards goes on after a restart where its list had come") {
  DaemonSite site;
  auto& hub = site.fixture.hub;
  for (int i = 0; i < 25; ++i) {
    hub.add_revision(
        "cards/m" + std::to_string(i),
        {{.path = "README.md", .content = fakes::content_of("# " + std::to_string(i))}});
  }
  MirrorRule rule = every_six_hours("cards/*");
  rule.cards_only = true;
  site.rules = {rule};
  site.make();
  // The list breaks off on its third page.
  hub.script({.fault = fakes::Fault::BadJson, .match = "cursor=20", .count = -1});
  site.daemon->enqueue_due();
  const auto first = site.run_queued();
  REQUIRE(first.size() == 1);
  CHECK(first[0].state == storage::JobState::Failed);
  hub.clear_scripts();
  site.make();
  hub.reset_counters();
  site.clock.time += hours(7);
  site.daemon->enqueue_due();
  const auto second = site.run_queued();
  REQUIRE(second.size() == 1);
  CHECK(second[0].state == storage::JobState::Done);
  CHECK(hub.requests("/api/models?sort") == 0);  // the list's start was not asked for
  CHECK(site.fixture.store->catalog().list_repositories({.owner = "cards"}).size() == 25);
  // From the start of the run that read the first page, so that nothing between them is lost.
  CHECK(site.mirror_status().find("full_at")->as_string() < holdfast::to_text(site.clock.time));
  CHECK(MirrorStates(site.state_file).get(rule).listing == std::nullopt);
  // What is too old tells nothing.
  MirrorStates states(site.state_file);
  MirrorState state = states.get(rule);
  state.full_at.reset();
  state.listing = ListingCursor{.upstream = "",
                                .next = hub.endpoint() + "/api/models?cursor=20",
                                .started = site.clock.time - hours(24),
                                .changed = {}};
  states.put(rule, state);
  CHECK(MirrorStates(site.state_file).get(rule) == state);
  site.make();
  hub.reset_counters();
  site.clock.time += hours(7);
  site.daemon->enqueue_due();
  site.run_queued();
  CHECK(hub.requests("/api/models?sort") == 1);
}

TEST_CASE("mirror/daemon: a job that was cancelled before it ran is queued again") {
  DaemonSite site;
  site.daemon->enqueue_due();
  auto& jobs = site.fixture.store->jobs();
  jobs.cancel(jobs.list(1).front().id);
  CHECK_FALSE(site.mirror_status().find("active")->as_bool());
  site.daemon->enqueue_due();
  CHECK(site.mirror_status().find("active")->as_bool());
  CHECK(site.run_queued().size() == 1);
}

TEST_CASE("mirror/daemon: cursors survive a restart, a changed filter starts anew") {
  DaemonSite site;
  site.daemon->enqueue_due();
  site.run_queued();
  const std::string done = site.mirror_status().find("done_at")->as_string();
  site.make();
  CHECK(site.mirror_status().find("done_at")->as_string() == done);
  site.daemon->enqueue_due();
  CHECK(site.run_queued().empty());
  site.rules.front().include = {"*.json"};
  site.make();
  CHECK(site.mirror_status().find("done_at") == nullptr);
  site.daemon->enqueue_due();
  CHECK(site.run_queued().size() == 1);
}

TEST_CASE("mirror/daemon: a damaged state file counts as none") {
  DaemonSite site;
  site.daemon->enqueue_due();
  site.run_queued();
  write_file_atomically(site.state_file, as_bytes(std::string_view(R"({"mirrors": [)")));
  site.make();
  site.daemon->enqueue_due();
  CHECK(site.run_queued().size() == 1);
}

TEST_CASE("mirror/daemon: a hint about a mirrored repository is followed, others are ignored") {
  DaemonSite site;
  auto& jobs = site.fixture.store->jobs();
  jobs.enqueue("mirror", "hint/model/org/m", {{"only", "model/org/m"}});
  jobs.enqueue("mirror", "hint/model/org/other", {{"only", "model/org/other"}});
  const auto done = site.run_queued();
  REQUIRE(done.size() == 2);
  for (const auto& job : done) CHECK(job.state == storage::JobState::Done);
  CHECK(check_mirrored(*site.fixture.store, site.fixture.commit, sample_files()) == "");
  CHECK(site.fixture.hub.requests("org/other") == 0);
}

TEST_CASE("mirror/daemon: a hint that upstream does not answer to has failed") {
  DaemonSite site;
  site.fixture.hub.script({.fault = fakes::Fault::Busy, .match = "", .count = -1});
  site.fixture.store->jobs().enqueue("mirror", "hint/model/org/m", {{"only", "model/org/m"}});
  const auto jobs = site.run_queued();
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].state == storage::JobState::Failed);
  CHECK(jobs[0].error.find("503") != std::string::npos);
  CHECK(site.fixture.store->catalog().holes().size() == 1);
}

TEST_CASE("mirror/daemon: a run with holes is done, and counts them") {
  DaemonSite site;
  site.rules = {every_six_hours("org/absent")};
  site.make();
  site.daemon->enqueue_due();
  const auto jobs = site.run_queued();
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].state == storage::JobState::Done);
  CHECK(jobs[0].result.find("holes")->as_uint() == 1);
}

TEST_CASE("mirror/daemon: a thread of its own queues what is due and ends at once") {
  DaemonSite site;
  site.daemon->start();
  auto& jobs = site.fixture.store->jobs();
  const auto body = [&site](const storage::Job& job, storage::JobContext& context) {
    return site.daemon->run(job.parameters, context);
  };
  const std::array<std::string_view, 1> kinds = {"mirror"};
  CHECK(jobs.run_next(kinds, body, {}));
  site.daemon.reset();
  CHECK(check_mirrored(*site.fixture.store, site.fixture.commit, sample_files()) == "");
}

}  // namespace holdfast::mirror
