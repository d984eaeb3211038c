#include "storage/jobs.h"

#include <atomic>
#include <functional>
#include <thread>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/limits.h"
#include "storage/store.h"
#include "tests/storage/scratch.h"

namespace holdfast::storage {
namespace {

using tests::FakeClock;
using tests::ScratchDirectory;

constexpr std::string_view kSync[] = {"sync"};

struct Fixture {
  ScratchDirectory scratch;
  FakeClock clock;
  std::unique_ptr<Store> store = Store::open({.directory = scratch.path(), .clock = &clock});

  JobQueue& jobs() { return store->jobs(); }

  void reopen() {
    store.reset();
    store = Store::open({.directory = scratch.path(), .clock = &clock});
  }

  JobState state(JobId id) { return jobs().find(id).value().state; }
};

Json::Object nothing(const Job&, JobContext&) { return {}; }

TEST_CASE_FIXTURE(Fixture, "storage/jobs: a watch is told of every change until it is dropped") {
  std::atomic<int> news{0};
  JobQueue::Watch watch = jobs().watch([&] { ++news; });
  const auto tells = [&](const std::function<void()>& change) {
    const int before = news;
    change();
    return news > before;
  };
  JobId id = 0;
  CHECK(tells([&] { id = jobs().enqueue("sync", "a", {}); }));
  CHECK_FALSE(tells([&] { jobs().enqueue("sync", "a", {}); }));
  CHECK_FALSE(tells([&] { static_cast<void>(jobs().find(id)); }));
  bool told_of_progress = false;
  const JobQueue::Body body = [&](const Job&, JobContext& context) -> Json::Object {
    told_of_progress = tells([&] { context.report({.phase = "listing"}); });
    return {};
  };
  CHECK(tells([&] { jobs().run_one(id, body, {}); }));
  CHECK(told_of_progress);
  watch.reset();
  CHECK_FALSE(tells([&] { jobs().retry(id); }));
}

TEST_CASE_FIXTURE(Fixture, "storage/jobs: one active job per kind and key") {
  const JobId first = jobs().enqueue("sync", "a", {{"repo", "x"}});
  CHECK(jobs().enqueue("sync", "a", {}) == first);
  CHECK(jobs().enqueue("scan", "a", {}) != first);
  CHECK(jobs().enqueue("sync", "b", {}) != first);
  CHECK(jobs().find(first)->parameters == Json::Object{{"repo", "x"}});
  CHECK(jobs().list(10).size() == 3);
  CHECK(jobs().list(10).front().key == "b");
  CHECK(jobs().list(1).size() == 1);
  CHECK(!jobs().find(4711));
  REQUIRE(jobs().run_one(first, nothing, {}));
  CHECK(jobs().enqueue("sync", "a", {}) > first);
}

TEST_CASE_FIXTURE(Fixture, "storage/jobs: outcomes are recorded and outlive the process") {
  struct Case {
    const char* name;
    JobQueue::Body body;
    JobState state;
    const char* error;
    const char* error_kind;
  };

  const Case cases[] = {
      {"done", [](const Job&, JobContext&) { return Json::Object{{"files", 3}}; }, JobState::Done,
       "", ""},
      {"failed",
       [](const Job&, JobContext&) -> Json::Object { fail(ErrorKind::Corrupt, "bad bytes"); },
       JobState::Failed, "bad bytes", "corrupt"},
      {"cancelled",
       [](const Job&, JobContext&) -> Json::Object { fail(ErrorKind::Cancelled, "ok"); },
       JobState::Cancelled, "ok", "cancelled"},
      {"our bug",
       [](const Job&, JobContext&) -> Json::Object { throw std::out_of_range("vector"); },
       JobState::Failed, "vector", "internal"}};
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const JobId id = jobs().enqueue("sync", c.name, {});
    CHECK(jobs().run_next(kSync, c.body, {}));
    for (const bool reopened : {false, true}) {
      CAPTURE(reopened);
      if (reopened) reopen();
      const Job job = jobs().find(id).value();
      CHECK(to_text(job.state) == to_text(c.state));
      CHECK(job.error == c.error);
      CHECK(job.error_kind == c.error_kind);
      CHECK(job.result.size() == (c.state == JobState::Done ? 1 : 0));
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "storage/jobs: oldest first, and only the kinds asked for") {
  jobs().enqueue("scan", "1", {});
  jobs().enqueue("sync", "2", {});
  jobs().enqueue("sync", "3", {});
  std::string order;
  const auto note = [&](const Job& job, JobContext&) {
    order += job.key;
    return Json::Object();
  };
  CHECK(jobs().run_next(kSync, note, {}));
  CHECK(jobs().run_next(kSync, note, {}));
  CHECK(order == "23");
}

TEST_CASE_FIXTURE(Fixture, "storage/jobs: waiting for work ends when asked to stop") {
  std::stop_source stop;
  std::atomic<int> ran{0};
  std::jthread worker([&] {
    while (jobs().run_next(
        kSync,
        [&](const Job&, JobContext&) {
          ++ran;
          return Json::Object();
        },
        stop.get_token())) {
    }
  });
  const JobId id = jobs().enqueue("sync", "a", {});
  while (state(id) != JobState::Done)
    jobs().wait_for_change(id, jobs().find(id)->updated_at, std::chrono::milliseconds(50));
  stop.request_stop();
  worker.join();
  CHECK(ran == 1);
}

TEST_CASE_FIXTURE(Fixture, "storage/jobs: a cancelled job stops and can be tried again") {
  const JobId queued = jobs().enqueue("sync", "queued", {});
  jobs().cancel(queued);
  CHECK(state(queued) == JobState::Cancelled);
  CHECK(!jobs().run_one(queued, nothing, {}));

  const JobId running = jobs().enqueue("sync", "running", {});
  CHECK(jobs().run_one(running,
                       [&](const Job& job, JobContext& context) -> Json::Object {
                         jobs().cancel(job.id);
                         CHECK(context.stop().stop_requested());
                         fail(ErrorKind::Cancelled, "stopped");
                       },
                       {}));
  CHECK(state(running) == JobState::Cancelled);
  jobs().retry(running);
  CHECK(state(running) == JobState::Queued);
  CHECK(jobs().find(running)->error.empty());
  CHECK(jobs().run_one(running, nothing, {}));
  CHECK(state(running) == JobState::Done);
  jobs().enqueue("sync", "queued", {});
  CHECK_THROWS_AS(jobs().retry(queued), Error);
  CHECK_THROWS_AS(jobs().cancel(4711), Error);
}

TEST_CASE_FIXTURE(Fixture, "storage/jobs: a shutdown puts the job back, a verb's stop cancels it") {
  const auto stopped = [](const Job&, JobContext& context) -> Json::Object {
    CHECK(context.stop().stop_requested());
    fail(ErrorKind::Cancelled, "stopped");
  };
  for (const bool worker : {true, false}) {
    CAPTURE(worker);
    const JobId id = jobs().enqueue("sync", worker ? "worker" : "verb", {});
    std::stop_source stop;
    const auto body = [&](const Job& job, JobContext& context) {
      stop.request_stop();
      return stopped(job, context);
    };
    if (worker)
      CHECK(jobs().run_next(kSync, body, stop.get_token()));
    else
      CHECK(jobs().run_one(id, body, stop.get_token()));
    CHECK(to_text(state(id)) == to_text(worker ? JobState::Queued : JobState::Cancelled));
    jobs().cancel(id);
  }
}

TEST_CASE_FIXTURE(Fixture,
                  "storage/jobs: progress shows at once and reaches the disk now and then") {
  const JobId id = jobs().enqueue("sync", "a", {});
  jobs().run_one(id,
                 [&](const Job&, JobContext& context) {
                   Time seen = jobs().find(id)->updated_at;
                   for (std::uint64_t i = 1; i <= 100; ++i) {
                     context.report({.phase = "downloading", .done_bytes = i, .total_bytes = 100});
                     const Job now = jobs().wait_for_change(id, seen, std::chrono::seconds(10));
                     CHECK(now.progress.done_bytes == i);
                     CHECK(now.updated_at > seen);
                     seen = now.updated_at;
                   }
                   return Json::Object();
                 },
                 {});
  CHECK(jobs().find(id)->progress.done_bytes == 100);
  const Job same =
      jobs().wait_for_change(id, jobs().find(id)->updated_at, std::chrono::milliseconds(1));
  CHECK(same.state == JobState::Done);
}

TEST_CASE_FIXTURE(Fixture,
                  "storage/jobs: logs are kept in order, bounded, and outlive the process") {
  const JobId id = jobs().enqueue("sync", "a", {});
  const auto body = [&](const Job&, JobContext& context) {
    for (std::size_t i = 0; i < kJobLogLinesMax / 2 + 10; ++i)
      context.log("line " + std::to_string(i));
    context.log(std::string(2 * kJobLogLineMax, 'x'));
    return Json::Object();
  };
  jobs().run_one(id, body, {});
  CHECK(jobs().log_lines(id).size() == kJobLogLinesMax / 2 + 11);
  CHECK(jobs().log_lines(id).front() == "line 0");
  reopen();
  jobs().retry(id);
  jobs().run_one(id, body, {});
  CHECK(jobs().log_lines(id).size() == kJobLogLinesMax);
  CHECK(jobs().log_lines(id).front() == "line 22");
  CHECK(jobs().log_lines(id).back().size() == kJobLogLineMax);
}

TEST_CASE_FIXTURE(Fixture,
                  "storage/jobs: what ran when the process died is queued at the next open") {
  const JobId id = jobs().enqueue("sync", "a", {{"repo", "x"}});
  // The row as it is while the job runs, as a crash would leave it.
  const auto copy = scratch.path() / "copy";
  jobs().run_one(id,
                 [&](const Job&, JobContext&) {
                   std::filesystem::create_directories(copy);
                   for (const char* part : {"FORMAT", "catalog", "blobs", "staging"})
                     std::filesystem::copy(scratch.path() / part, copy / part,
                                           std::filesystem::copy_options::recursive);
                   return Json::Object();
                 },
                 {});
  const auto crashed = Store::open({.directory = copy, .clock = &clock});
  const Job job = crashed->jobs().find(id).value();
  CHECK(to_text(job.state) == "queued");
  CHECK(job.parameters == Json::Object{{"repo", "x"}});
  CHECK(crashed->jobs().enqueue("scan", "b", {}) > id);
}

}  // namespace
}  // namespace holdfast::storage
