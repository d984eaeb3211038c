// A hub of ours in front of an imposter: what it has not, it pulls. Clients talk to a real server.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mirror/pull_through.h"
#include "mirror/staging.h"
#include "storage/base/sync.h"
#include "tests/mirror/sync_fixture.h"
#include "tests/web/raw_client.h"

namespace holdfast::tests {

// Stands still but for move(): what is remembered for ten seconds is, however slow the machine.
class MovedClock final : public Clock {
 public:
  Time now() const override { return start_ + std::chrono::seconds(ahead_.load()); }

  void move(std::chrono::seconds time) { ahead_ += time.count(); }

 private:
  Time start_ = system_clock().now();
  std::atomic<std::int64_t> ahead_{0};
};

struct PullSite {
  explicit PullSite(fakes::ImposterOptions options = {}, unsigned download_workers = 4)
      : hub(std::move(options)), workers(download_workers) {
    commit = hub.add_revision("org/m", mirror::sample_files());
    server.start();
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([this](const std::stop_token& stop) {
        const std::array<std::string_view, 1> kinds = {"pull"};
        const auto body = [this](const storage::Job& job, storage::JobContext& context) {
          return pulls.run(storage::parse_repo_id(job.parameters.find("repo")->as_string()),
                           job.parameters.find("revision")->as_string(), context);
        };
        while (store->jobs().run_next(kinds, body, stop)) {
        }
      });
    }
  }

  mirror::PullSource source() {
    mirror::UpstreamConfig upstream{.name = "imposter", .endpoint = hub.endpoint()};
    upstream.token = token;
    upstream.offline = offline;
    upstream.outbound = outbound;
    upstream.staging = staging;
    upstream.tuning.pauser = &pauser;
    upstream.tuning.part_bytes = 100'000;
    upstream.tuning.workers = workers;
    mirror::PullSource out{.upstreams = {upstream}, .selection = {}};
    if (fallback.empty()) return out;
    mirror::UpstreamConfig next = upstream;
    next.name = "fallback";
    next.endpoint = fallback;
    out.upstreams.push_back(next);
    for (mirror::UpstreamConfig& one : out.upstreams) {
      one.tuning.pauser = &mirror::real_pauser();  // a stall takes time
      one.tuning.race_patience = mirror::Milliseconds(300);
    }
    return out;
  }

  // Waits as long as a pull takes.
  RawClient client() const {
    RawClient out(server.port());
    out.set_patience(std::chrono::seconds(0));
    return out;
  }

  // Once all pulls are over; the newest one's job.
  storage::Job wait_for_pull() {
    while (true) {
      const auto jobs = store->jobs().list(10);
      const auto newest = std::ranges::find(jobs, "pull", &storage::Job::kind);
      if (newest == jobs.end()) return {};
      if (newest->state != storage::JobState::Queued &&
          newest->state != storage::JobState::Running) {
        return *newest;
      }
      store->jobs().wait_for_change(newest->id, newest->updated_at, std::chrono::seconds(10));
    }
  }

  bool is_published() const { return store->catalog().find_repository(repo).has_value(); }

  std::string body(const std::string& path) const {
    for (const auto& file : mirror::sample_files()) {
      if (file.path == path) return std::string(file.content.bytes);
    }
    return "no such file";
  }

  storage::RepoId repo{.owner = "org", .name = "m"};
  std::string token;
  std::string fallback = {};  // another upstream's address
  bool offline = false;
  std::shared_ptr<mirror::Outbound> outbound = std::make_shared<mirror::Outbound>();
  std::shared_ptr<mirror::Staging> staging = std::make_shared<mirror::Staging>();
  mirror::TempDir temp;
  fakes::HubImposter hub;
  unsigned workers;
  GitOid commit;
  mirror::FakePauser pauser;
  MovedClock clock;
  std::unique_ptr<storage::Store> store =
      storage::Store::open({.directory = temp.path() / "store"});
  mirror::PullThrough pulls{*store, [this](const storage::RepoId&) { return source(); }, clock};
  web::Server server{
      web::ServerOptions{.listen = "127.0.0.1:0", .threads = 2, .version = "test", .pull = &pulls},
      *store};
  std::vector<std::jthread> threads;
};

// Holds requests of the imposter back until it is opened, or goes. Declared after the site, so that
// nobody waits for it when the site goes.
class Gate {
 public:
  ~Gate() { open(); }

  void open() {
    state_->lock()->is_open = true;
    state_->notify_all();
  }

  // Until a request stands before it.
  void wait_for_somebody() const {
    state_->lock().wait([](const State& state) { return state.is_reached; });
  }

  // For a script: waits for open().
  std::function<void()> action() const {
    return [shared = state_] {
      auto state = shared->lock();
      state->is_reached = true;
      shared->notify_all();
      state.wait([](const State& now) { return now.is_open; });
    };
  }

 private:
  struct State {
    bool is_reached = false, is_open = false;
  };

  std::shared_ptr<Sync<State>> state_ = std::make_shared<Sync<State>>();  // with the scripts
};

}  // namespace holdfast::tests
