// JobQueue over catalog rows, with all jobs in memory as well. Thread-safe.
#pragma once

#include <memory>

#include "storage/base/clock.h"
#include "storage/internal/database.h"
#include "storage/jobs.h"

namespace holdfast::storage {

// Reads the rows; jobs that were running when the last process ended are queued again. Borrows
// both.
std::unique_ptr<JobQueue> make_local_jobs(Database& database, const Clock& clock);

}  // namespace holdfast::storage
