// Jobs as handlers name, list and describe them. Thread-safe; throws a Refusal, or what the queue
// throws.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "storage/jobs.h"
#include "web/internal/handlers.h"

namespace holdfast::web {

// The one that the URL names. 404 when there is none.
storage::Job find_job(const Call& call);

// The repository that a job is about, "" when it is about none: its key and its paths are the
// operator's alone to see.
std::string repository_of(const storage::Job& job);

// What a done job left undone: "3 holes", "1 of 2 mirrors failed, 3 holes"; "" when it is whole.
std::string shortfall_of(const storage::Job& job);

// What is listed, as it was asked for: of a state or all, of a kind or all, older than a job or
// from the newest on.
struct JobFilter {
  std::string state, kind;
  storage::JobId before = 0;  // 0: from the newest on
};

// Of the query; a field that is no number counts as absent.
JobFilter read_job_filter(const Call& call);

struct ListedJobs {
  std::vector<storage::Job> jobs;  // newest first, at most as many as were asked for
  bool more = false;               // older ones fit the filter too
};

// Nothing of a state that there is not.
ListedJobs find_jobs(const storage::JobQueue& queue, const JobFilter& filter, std::size_t limit);

}  // namespace holdfast::web
