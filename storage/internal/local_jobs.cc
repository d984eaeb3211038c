#include "storage/internal/local_jobs.h"

#include <algorithm>
#include <iterator>
#include <list>
#include <map>
#include <utility>

#include "storage/base/error.h"
#include "storage/base/sync.h"
#include "storage/internal/job_rows.h"
#include "storage/internal/keys.h"
#include "storage/limits.h"

namespace holdfast::storage {
namespace {

bool is_active(JobState state) noexcept {
  return state == JobState::Queued || state == JobState::Running;
}

bool fits(const Job& job, const JobQueue::Filter& filter) noexcept {
  return (!filter.state || job.state == *filter.state) &&
         (filter.kind.empty() || job.kind == filter.kind);
}

[[noreturn]] void fail_in_state(const Job& job, std::string_view why) {
  fail(ErrorKind::Conflict, "job " + std::to_string(job.id) + " is " +
                                std::string(to_text(job.state)) + ": " + std::string(why));
}

[[noreturn]] void fail_unknown(JobId id) {
  fail(ErrorKind::NotFound, "job " + std::to_string(id) + ": no such job");
}

class LocalJobs final : public JobQueue {
 public:
  LocalJobs(Database& database, const Clock& clock);

  JobId enqueue(std::string_view kind, std::string_view key, Json::Object parameters) override;
  std::optional<Job> find(JobId id) const override;
  std::vector<Job> list(std::size_t limit, const Filter& filter) const override;
  std::set<std::string> kinds() const override;
  Counts counts() const override;
  std::vector<std::string> log_lines(JobId id) const override;
  void cancel(JobId id) override;
  void retry(JobId id) override;
  bool run_next(std::span<const std::string_view> kinds, const Body& body,
                std::stop_token stop) override;
  bool run_one(JobId id, const Body& body, std::stop_token stop) override;
  Job wait_for_change(JobId id, Time seen, std::chrono::milliseconds timeout) const override;
  Watch watch(std::function<void()> changed) override;

  // For the context of a running job.
  void report(JobId id, const Progress& progress);
  void add_log_line(JobId id, std::uint64_t number, std::string_view line);

 private:
  struct Entry {
    Job job;
    Time saved_at;                         // when its row was last written
    std::optional<std::stop_source> stop;  // while it runs
    bool cancelled = false;                // by a person, not by a shutdown
  };

  // State changes are written while the lock is held, on purpose: rows then follow one another in
  // the order in which they took effect. They are rare, and nothing is hot behind this lock.
  struct State {
    std::map<JobId, Entry> jobs;
    JobId next = 1;
  };

  using Locked = Sync<State>::Lock;

  static Entry& entry_of(State& state, JobId id);
  Time next_time(const Job& job) const;
  void announce();
  void save(Entry& entry, Job changed, bool synced);
  void forget_oldest(State& state);
  void run(Locked state, Entry& entry, const Body& body, const std::stop_token& stop, bool requeue);
  void finish(Job outcome, bool requeue);

  Database& database_;
  const Clock& clock_;
  mutable Sync<State> state_{};
  Sync<std::list<std::function<void()>>> watchers_{};  // locked after state_, never before it
};

class RunningJob final : public JobContext {
 public:
  RunningJob(LocalJobs& jobs, JobId id, std::uint64_t next_line, std::stop_token stop)
      : jobs_(jobs), id_(id), next_line_(next_line), stop_(std::move(stop)) {}

  void report(const Progress& progress) override { jobs_.report(id_, progress); }

  void log(std::string_view line) override {
    auto next = next_line_.lock();  // lines keep their order, whichever thread wrote them
    jobs_.add_log_line(id_, (*next)++, line);
  }

  std::stop_token stop() const override { return stop_; }

 private:
  LocalJobs& jobs_;
  JobId id_;
  Sync<std::uint64_t> next_line_;
  std::stop_token stop_;
};

LocalJobs::LocalJobs(Database& database, const Clock& clock) : database_(database), clock_(clock) {
  auto state = state_.lock();
  database_.scan(Family::Job, keys::kJobs, [&](std::string_view key, std::string_view row) {
    const JobId id = keys::parse_big_endian(key.substr(keys::kJobs.size()));
    state->jobs[id] = {.job = decode_job(id, row)};
    state->next = id + 1;
    return true;
  });
  for (auto& [id, entry] : state->jobs) {
    if (entry.job.state != JobState::Running) continue;
    Job job = entry.job;
    job.state = JobState::Queued;
    save(entry, std::move(job), true);
  }
}

LocalJobs::Entry& LocalJobs::entry_of(State& state, JobId id) {
  const auto at = state.jobs.find(id);
  if (at == state.jobs.end()) fail_unknown(id);
  return at->second;
}

// Strictly increasing per job, so that nobody who waits for a change misses one.
Time LocalJobs::next_time(const Job& job) const {
  return std::max(clock_.now(), job.updated_at + Time::duration(1));
}

// The row first: when it cannot be written, nothing changed.
void LocalJobs::save(Entry& entry, Job changed, bool synced) {
  changed.updated_at = next_time(entry.job);
  Batch batch(database_);
  batch.put(Family::Job, keys::job(changed.id), encode_job(changed));
  synced ? database_.write(batch) : database_.write_lazily(batch);
  entry.saved_at = changed.updated_at;
  entry.job = std::move(changed);
  announce();
}

void LocalJobs::announce() {
  state_.notify_all();
  auto watchers = watchers_.lock();
  for (const auto& changed : *watchers) changed();
}

JobId LocalJobs::enqueue(std::string_view kind, std::string_view key, Json::Object parameters) {
  auto state = state_.lock();
  for (const auto& [id, entry] : state->jobs)
    if (is_active(entry.job.state) && entry.job.kind == kind && entry.job.key == key) return id;
  Job job{.id = state->next,
          .kind = std::string(kind),
          .key = std::string(key),
          .parameters = std::move(parameters),
          .created_at = clock_.now()};
  Entry entry;
  save(entry, job, true);
  state->jobs.emplace(job.id, std::move(entry));
  forget_oldest(*state);
  state_.notify_all();
  return state->next++;
}

void LocalJobs::forget_oldest(State& state) {
  Batch batch(database_);
  for (auto at = state.jobs.begin(); at != state.jobs.end() && state.jobs.size() > kJobsKeptMax;) {
    if (is_active(at->second.job.state)) {
      ++at;
      continue;
    }
    batch.erase(Family::Job, keys::job(at->first));
    database_.scan(Family::Job, keys::job_log(at->first),
                   [&](std::string_view key, std::string_view) {
                     batch.erase(Family::Job, key);
                     return true;
                   });
    at = state.jobs.erase(at);
  }
  database_.write_lazily(batch);
}

std::optional<Job> LocalJobs::find(JobId id) const {
  auto state = state_.lock();
  const auto at = state->jobs.find(id);
  if (at == state->jobs.end()) return std::nullopt;
  return at->second.job;
}

std::vector<Job> LocalJobs::list(std::size_t limit, const Filter& filter) const {
  auto state = state_.lock();
  const auto& all = state->jobs;
  std::vector<Job> jobs;
  auto at =
      std::make_reverse_iterator(filter.before == 0 ? all.end() : all.lower_bound(filter.before));
  for (; at != all.rend() && jobs.size() < limit; ++at)
    if (fits(at->second.job, filter)) jobs.push_back(at->second.job);
  return jobs;
}

std::set<std::string> LocalJobs::kinds() const {
  auto state = state_.lock();
  std::set<std::string> kinds;
  for (const auto& [id, entry] : state->jobs) kinds.insert(entry.job.kind);
  return kinds;
}

JobQueue::Counts LocalJobs::counts() const {
  auto state = state_.lock();
  Counts counts;
  for (const auto& [id, entry] : state->jobs) ++counts[{entry.job.kind, entry.job.state}];
  return counts;
}

std::vector<std::string> LocalJobs::log_lines(JobId id) const {
  std::vector<std::string> lines;
  database_.scan(Family::Job, keys::job_log(id), [&](std::string_view, std::string_view line) {
    lines.emplace_back(line);
    return true;
  });
  return lines;
}

void LocalJobs::cancel(JobId id) {
  std::optional<std::stop_source> stop;
  {
    auto state = state_.lock();
    Entry& entry = entry_of(*state, id);
    if (!is_active(entry.job.state)) fail_in_state(entry.job, "there is nothing left to cancel");
    entry.cancelled = true;
    if (entry.job.state == JobState::Queued) {
      Job job = entry.job;
      job.state = JobState::Cancelled;
      save(entry, std::move(job), true);
    }
    stop = entry.stop;
  }
  // Outside the lock: whoever listens to the token may call back into the queue.
  if (stop) stop->request_stop();
}

void LocalJobs::retry(JobId id) {
  auto state = state_.lock();
  Entry& entry = entry_of(*state, id);
  if (is_active(entry.job.state))
    fail_in_state(entry.job, "only a job that has ended can be tried again");
  for (const auto& [other, row] : state->jobs)
    if (is_active(row.job.state) && row.job.kind == entry.job.kind && row.job.key == entry.job.key)
      fail(ErrorKind::Conflict, "job " + std::to_string(id) + ": job " + std::to_string(other) +
                                    " does the same work already");
  Job job = entry.job;
  job.state = JobState::Queued;
  job.error.clear();
  job.error_kind.clear();
  job.result = {};
  entry.cancelled = false;
  save(entry, std::move(job), true);
}

bool LocalJobs::run_next(std::span<const std::string_view> kinds, const Body& body,
                         std::stop_token stop) {
  const std::stop_callback wake(stop, [this] {
    {
      const auto lock = state_.lock();
    }  // a waiter is either asleep or has not looked yet
    state_.notify_all();
  });
  auto state = state_.lock();
  Entry* next = nullptr;
  state.wait([&](State& all) {
    for (auto& [id, entry] : all.jobs) {
      if (entry.job.state != JobState::Queued) continue;
      if (std::ranges::find(kinds, entry.job.kind) == kinds.end()) continue;
      next = &entry;
      return true;
    }
    return stop.stop_requested();
  });
  if (next == nullptr || stop.stop_requested()) return false;
  run(std::move(state), *next, body, stop, true);
  return true;
}

bool LocalJobs::run_one(JobId id, const Body& body, std::stop_token stop) {
  auto state = state_.lock();
  Entry& entry = entry_of(*state, id);
  if (entry.job.state != JobState::Queued) return false;
  run(std::move(state), entry, body, stop, false);
  return true;
}

// `requeue`: a job that a shutdown stopped goes back to the queue instead of being cancelled.
void LocalJobs::run(Locked state, Entry& entry, const Body& body, const std::stop_token& stop,
                    bool requeue) {
  std::stop_source source;
  Job job = entry.job;
  job.state = JobState::Running;
  job.progress = {};
  save(entry, std::move(job), true);
  entry.stop = source;
  entry.cancelled = false;
  job = entry.job;
  {
    const Locked released = std::move(state);
  }

  std::uint64_t next_line = 0;
  database_.scan(Family::Job, keys::job_log(job.id), [&](std::string_view key, std::string_view) {
    next_line = keys::parse_big_endian(key.substr(key.size() - 8)) + 1;
    return true;
  });
  const std::stop_callback chain(stop, [&] { source.request_stop(); });
  RunningJob context(*this, job.id, next_line, source.get_token());
  try {
    job.result = body(job, context);
    job.state = JobState::Done;
  } catch (const Error& error) {
    job.state = error.kind() == ErrorKind::Cancelled ? JobState::Cancelled : JobState::Failed;
    job.error = error.what();
    job.error_kind = holdfast::to_text(error.kind());
  } catch (const std::exception& error) {
    job.state = JobState::Failed;
    job.error = error.what();
    job.error_kind = "internal";
  }
  finish(std::move(job), requeue && stop.stop_requested());
}

void LocalJobs::finish(Job outcome, bool requeue) {
  auto state = state_.lock();
  Entry& entry = entry_of(*state, outcome.id);
  outcome.progress = entry.job.progress;
  if (outcome.state == JobState::Cancelled && requeue && !entry.cancelled) {
    outcome.state = JobState::Queued;
    outcome.error.clear();
    outcome.error_kind.clear();
  }
  entry.stop.reset();
  save(entry, std::move(outcome), true);
}

void LocalJobs::report(JobId id, const Progress& progress) {
  auto state = state_.lock();
  Entry& entry = entry_of(*state, id);
  Job job = entry.job;
  job.progress = progress;
  if (clock_.now() - entry.saved_at >= kJobProgressPeriod) {
    save(entry, std::move(job), false);
    return;
  }
  job.updated_at = next_time(entry.job);
  entry.job = std::move(job);
  announce();
}

void LocalJobs::add_log_line(JobId id, std::uint64_t number, std::string_view line) {
  Batch batch(database_);
  batch.put(Family::Job, keys::job_log_line(id, number), line.substr(0, kJobLogLineMax));
  if (number >= kJobLogLinesMax)
    batch.erase(Family::Job, keys::job_log_line(id, number - kJobLogLinesMax));
  database_.write_lazily(batch);
}

Job LocalJobs::wait_for_change(JobId id, Time seen, std::chrono::milliseconds timeout) const {
  auto state = state_.lock();
  state.wait_for(timeout, [&](State& all) { return entry_of(all, id).job.updated_at > seen; });
  return entry_of(*state, id).job;
}

JobQueue::Watch LocalJobs::watch(std::function<void()> changed) {
  auto watchers = watchers_.lock();
  const auto at = watchers->insert(watchers->end(), std::move(changed));
  return {&*at, [this, at](const void*) { watchers_.lock()->erase(at); }};
}

}  // namespace

std::unique_ptr<JobQueue> make_local_jobs(Database& database, const Clock& clock) {
  return std::make_unique<LocalJobs>(database, clock);
}

}  // namespace holdfast::storage
