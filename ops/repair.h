// Bringing damaged objects back: sync jobs for the revisions that a repair plan (storage/care.h)
// names.
#pragma once

#include "ops/job_verb.h"
#include "storage/store.h"

namespace holdfast::ops {

// The sync of one row of `repairs`, as a job. Asked for twice, it is the same job while it is
// queued or running.
JobRequest repair_request(const Json::Object& repair);

// Queues the syncs of a plan; returns how many they are.
std::size_t enqueue_repairs(storage::Store& store, const Json::Object& plan);

}  // namespace holdfast::ops
