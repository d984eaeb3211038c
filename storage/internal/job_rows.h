// The encoding of a job as a catalog row (storage/FORMAT.md). Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "storage/jobs.h"

namespace holdfast::storage {

std::string encode_job(const Job& job);
Job decode_job(JobId id, std::string_view row);

}  // namespace holdfast::storage
