#include "storage/jobs.h"

#include <atomic>
#include <functional>
#include <set>
#include <thread>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/limits.h"
#include "storage/store.h"
#include "tests/storage/error_kind.h"
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

TEST_CASE_FIXTURE(Fixture,
                  "storage/jobs: what has ended is not cancelled, what has not is not retried") {
  struct Case {
    const char* name;
    JobState state;
    std::function<void(JobId)> make;
    const char* cancel;  // why not; "" where it can be
    const char* retry;
  };

  const auto run = [&](JobId id, const JobQueue::Body& body) { jobs().run_one(id, body, {}); };
  const Case cases[] = {
      {"queued", JobState::Queued, [](JobId) {}, "", "is queued"},
      {"done", JobState::Done, [&](JobId id) { run(id, nothing); }, "is done", ""},
      {"failed", JobState::Failed,
       [&](JobId id) {
         run(id, [](const Job&, JobContext&) -> Json::Object { fail(ErrorKind::Io, "no"); });
       },
       "is failed", ""},
      {"cancelled", JobState::Cancelled, [&](JobId id) { jobs().cancel(id); }, "is cancelled", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    for (const bool retries : {false, true}) {
      CAPTURE(retries);
      const JobId id = jobs().enqueue("sync", std::string(c.name) + (retries ? "2" : ""), {});
      c.make(id);
      const Job before = jobs().find(id).value();
      REQUIRE(before.state == c.state);
      const std::string why = retries ? c.retry : c.cancel;
      std::string said;
      try {
        retries ? jobs().retry(id) : jobs().cancel(id);
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::Conflict);
        said = error.what();
      }
      CHECK(said.empty() == why.empty());
      CHECK(said.find(why) != std::string::npos);
      const Job after = jobs().find(id).value();
      CHECK((after.state == before.state) == !why.empty());
      CHECK((after.updated_at == before.updated_at) == !why.empty());
    }
  }
  const JobId running = jobs().enqueue("sync", "running", {});
  run(running, [&](const Job& job, JobContext&) -> Json::Object {
    CHECK(tests::kind_of([&] { jobs().retry(job.id); }) == ErrorKind::Conflict);
    jobs().cancel(job.id);
    jobs().cancel(job.id);  // has been asked for, and may be again
    fail(ErrorKind::Cancelled, "stopped");
  });
  CHECK(state(running) == JobState::Cancelled);
}

TEST_CASE_FIXTURE(Fixture,
                  "storage/jobs: a list has the jobs that fit, newest first, from anywhere") {
  constexpr const char* kKinds[] = {"scan", "sync", "sync", "scan", "convert", "sync"};
  for (const char* kind : kKinds) jobs().enqueue(kind, std::to_string(jobs().list(10).size()), {});
  jobs().run_one(2, nothing, {});
  jobs().run_one(6, nothing, {});

  struct Case {
    const char* name;
    std::size_t limit;
    JobQueue::Filter filter;
    const char* ids;
  };

  const Case cases[] = {
      {"all", 10, {}, "6 5 4 3 2 1 "},
      {"a page", 2, {}, "6 5 "},
      {"the next one", 2, {.before = 5}, "4 3 "},
      {"the last one", 3, {.before = 3}, "2 1 "},
      {"behind the last", 3, {.before = 1}, ""},
      {"from one that is to come", 2, {.before = 99}, "6 5 "},
      {"none", 0, {}, ""},
      {"of a kind", 10, {.kind = "sync"}, "6 3 2 "},
      {"of a kind, a page", 1, {.kind = "sync", .before = 6}, "3 "},
      {"of a kind that is none", 10, {.kind = "syn"}, ""},
      {"of a state", 10, {.state = JobState::Done}, "6 2 "},
      {"of both", 10, {.state = JobState::Queued, .kind = "sync"}, "3 "},
      {"of both, from somewhere", 10, {.state = JobState::Done, .kind = "sync", .before = 6}, "2 "},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    std::string ids;
    for (const Job& job : jobs().list(c.limit, c.filter)) ids += std::to_string(job.id) + " ";
    CHECK(ids == c.ids);
  }
  CHECK(jobs().kinds() == std::set<std::string>{"convert", "scan", "sync"});
}

TEST_CASE("storage/jobs: a state is named, and read by its name") {
  for (const JobState state : {JobState::Queued, JobState::Running, JobState::Done,
                               JobState::Failed, JobState::Cancelled}) {
    CHECK(parse_job_state(to_text(state)) == state);
  }
  for (const char* name : {"", "don", "done ", "Done"}) CHECK(!parse_job_state(name));
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
    if (worker) jobs().cancel(id);
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
