// Jobs as handlers name them. Thread-safe; throws a Refusal, or what the queue throws.
#pragma once

#include <string>

#include "storage/jobs.h"
#include "web/internal/handlers.h"

namespace holdfast::web {

// The one that the URL names. 404 when there is none.
storage::Job find_job(const Call& call);

// The repository that a job is about, "" when it is about none: its key and its paths are the
// operator's alone to see.
std::string repository_of(const storage::Job& job);

}  // namespace holdfast::web
