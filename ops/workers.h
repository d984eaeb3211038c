// Where queued jobs are run. The table of job kinds in workers.cc is where mirror/ and convert/
// meet the queue; nothing else knows both.
#pragma once

#include <stop_token>
#include <thread>
#include <vector>

#include "ops/config.h"
#include "ops/metrics.h"
#include "ops/mirroring.h"
#include "storage/store.h"

namespace holdfast::ops {

// A server's workers: a few threads per kind of job from construction on, and a look for revisions
// that were published and never scanned; destruction asks them to stop and joins (a running job is
// interrupted resumably). Borrows all arguments.
class Workers {
 public:
  Workers(storage::Store& store, const Config& config, Mirroring& mirroring, Metrics& metrics);

 private:
  std::vector<std::jthread> threads_;
};

// Runs one queued job in the calling thread; its outcome stands in its row.
void run_queued_job(storage::Store& store, storage::JobId id, const Config& config,
                    const Environment& environment, std::stop_token stop);

// Runs the scan jobs that are queued now.
void run_queued_scans(storage::Store& store, const Config& config, const Environment& environment);

}  // namespace holdfast::ops
