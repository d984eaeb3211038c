// Work that one part asks of another: rows in the catalog, taken by workers that ops/ wires up.
// Enqueueing is idempotent on the key while a job with that key is queued or running. Thread-safe.
// A job that was running when the process died is queued again at the next open.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/json.h"

namespace holdfast::storage {

using JobId = std::uint64_t;

enum class JobState { Queued, Running, Done, Failed, Cancelled };

std::string_view to_text(JobState state) noexcept;
// Nothing for what is no state's name.
std::optional<JobState> parse_job_state(std::string_view name) noexcept;

struct Progress {
  std::string phase;  // "listing", "downloading", "quantizing", …
  std::uint64_t done_bytes = 0, total_bytes = 0;
  std::uint64_t done_items = 0, total_items = 0;
  std::string note;  // e.g. "upstream asks to wait 12 s"
};

struct Job {
  JobId id = 0;
  std::string kind;  // "sync", "scan", "convert"
  std::string key;   // idempotence: same kind and key = same work
  Json::Object parameters;
  JobState state = JobState::Queued;
  Progress progress;
  Json::Object result;  // of a done job
  std::string error;    // of a failed one
  std::string error_kind;
  Time created_at, updated_at;
};

// Given to the code that runs a job: where to report, and whether to stop.
class JobContext {
 public:
  virtual ~JobContext() = default;
  virtual void report(const Progress& progress) = 0;  // cheap; may be called often
  virtual void log(std::string_view line) = 0;
  virtual std::stop_token stop() const = 0;
};

class JobQueue {
 public:
  virtual ~JobQueue() = default;

  virtual JobId enqueue(std::string_view kind, std::string_view key, Json::Object parameters) = 0;
  virtual std::optional<Job> find(JobId id) const = 0;

  struct Filter {
    std::optional<JobState> state = {};  // nothing: any
    std::string kind = {};               // "": any
    JobId before = 0;                    // only older ones; 0: from the newest on
  };

  // Newest first. No more than `limit` rows are copied, however many there are.
  virtual std::vector<Job> list(std::size_t limit, const Filter& filter) const = 0;

  std::vector<Job> list(std::size_t limit) const { return list(limit, Filter{}); }

  // Of all jobs that are kept.
  virtual std::set<std::string> kinds() const = 0;
  // How many jobs of a kind are in a state, of all that are kept.
  using Counts = std::map<std::pair<std::string, JobState>, std::size_t>;
  virtual Counts counts() const = 0;
  virtual std::vector<std::string> log_lines(JobId id) const = 0;

  // Asks a queued or running job to stop; resumable by retry(). Conflict for one that has ended;
  // NotFound.
  virtual void cancel(JobId id) = 0;
  // Queues a job again that has ended. Conflict for one that is queued or running, and where
  // another one does the same work already; NotFound.
  virtual void retry(JobId id) = 0;

  // Takes the oldest queued job of one of `kinds`, runs `body`, and records the outcome: Done with
  // the returned result, Failed with the Error that escaped, Cancelled for Error(Cancelled). Waits
  // for a job until `stop` is requested; returns false then.
  using Body = std::function<Json::Object(const Job&, JobContext&)>;
  virtual bool run_next(std::span<const std::string_view> kinds, const Body& body,
                        std::stop_token stop) = 0;

  // As run_next, but runs exactly this job if it is queued (a verb that opens the store by itself
  // runs its own job and leaves others, such as an interrupted one, for the server). Returns false
  // when the job is not queued.
  virtual bool run_one(JobId id, const Body& body, std::stop_token stop) = 0;

  // Blocks until the job's row changes after `seen` or `timeout` passes; returns the row.
  virtual Job wait_for_change(JobId id, Time seen, std::chrono::milliseconds timeout) const = 0;

  // Calls `changed` after every change of any job's row, on the thread that made it, until the
  // returned value is destroyed. It may be called often and with the queue locked: it must return
  // at once and must not call back. The value must not outlive the queue.
  using Watch = std::shared_ptr<const void>;
  [[nodiscard]] virtual Watch watch(std::function<void()> changed) = 0;
};

}  // namespace holdfast::storage
