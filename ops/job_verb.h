// Verbs that start a job and follow it to its end.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>

#include "ops/api_client.h"
#include "ops/output.h"
#include "storage/base/json.h"

namespace holdfast::ops {

struct JobRequest {
  std::string kind;
  std::string key;
  Json::Object parameters;
};

// Enqueues, shows progress, and returns the job's result. A failed job is rethrown as its Error.
// When `stop` is requested the job is cancelled and Error(Cancelled) says how to resume.
Json::Object run_job(ApiClient& client, const JobRequest& request, Output& output,
                     const std::stop_token& stop);

}  // namespace holdfast::ops
