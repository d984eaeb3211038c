// Scans: jobs that read what a revision holds and write down its facts. Thread-safe.
#pragma once

#include <cstddef>
#include <stop_token>

#include "storage/base/digest.h"
#include "storage/repo_id.h"
#include "storage/store.h"

namespace holdfast::storage {

// Asks for a scan of a revision that was just published. That stands, whatever becomes of this: so
// nothing is thrown. False when the queue takes no job now; request_missing_scans() makes up for
// it.
bool request_scan(Store& store, const RepoId& repo, const GitOid& commit) noexcept;

// Asks for a scan of each default branch's revision that has no facts yet: a crash may have come
// between its publication and its job. Returns how many. Throws what the catalog or the queue
// throws.
std::size_t request_missing_scans(Store& store, const std::stop_token& stop);

}  // namespace holdfast::storage
