#include "ops/job_verb.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "storage/base/error.h"

namespace holdfast::ops {
namespace {

constexpr int kPollMilliseconds = 500;

storage::Progress to_progress(const Json& job) {
  storage::Progress progress;
  const Json* row = job.find("progress");
  if (row == nullptr) return progress;
  const auto number = [row](std::string_view key) {
    const Json* value = row->find(key);
    return value == nullptr ? std::uint64_t{0} : value->as_uint(key);
  };
  const auto text = [row](std::string_view key) {
    const Json* value = row->find(key);
    return value == nullptr ? std::string() : value->as_string(key);
  };
  progress.phase = text("phase");
  progress.note = text("note");
  progress.done_bytes = number("done_bytes");
  progress.total_bytes = number("total_bytes");
  progress.done_items = number("done_items");
  progress.total_items = number("total_items");
  return progress;
}

const std::string& text_of(const Json& job, std::string_view key) {
  static const std::string kEmpty;
  const Json* value = job.find(key);
  return value == nullptr ? kEmpty : value->as_string(key);
}

[[noreturn]] void rethrow_failure(const Json& job) {
  constexpr std::array kKinds = {
      ErrorKind::Invalid,       ErrorKind::NotFound, ErrorKind::Corrupt,  ErrorKind::Unsupported,
      ErrorKind::LimitExceeded, ErrorKind::Conflict, ErrorKind::Denied,   ErrorKind::NoSpace,
      ErrorKind::Unavailable,   ErrorKind::Timeout,  ErrorKind::Cancelled};
  const auto* kind = std::ranges::find_if(kKinds, [&](ErrorKind candidate) {
    return to_text(candidate) == text_of(job, "error_kind");
  });
  fail(kind == kKinds.end() ? ErrorKind::Io : *kind, text_of(job, "error"));
}

// One that has ended meanwhile is past cancelling: how it ended is what its row tells.
void cancel_job(ApiClient& client, const std::string& target) {
  try {
    client.call("POST", target + "/cancel", Json::Object{});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Conflict) throw;
  }
}

}  // namespace

Json::Object run_job(ApiClient& client, const JobRequest& request, Output& output,
                     const std::stop_token& stop) {
  const Json queued = client.call(
      "POST", "/-/api/v1/jobs",
      Json::Object{
          {"kind", request.kind}, {"key", request.key}, {"parameters", request.parameters}});
  const Json* id = queued.find("id");
  if (id == nullptr) fail(ErrorKind::Corrupt, "the server's answer to a new job has no id");
  const std::string target = fmt::format("/-/api/v1/jobs/{}", id->as_uint("id"));
  std::string seen;
  bool cancelled = false;
  for (;;) {
    if (stop.stop_requested() && !cancelled) {
      cancel_job(client, target);
      cancelled = true;
    }
    const Json job = client.get(
        fmt::format("{}?after={}&wait={}", target, encode_component(seen), kPollMilliseconds));
    const std::string state = text_of(job, "state");
    if (state == "done") {
      const Json* result = job.find("result");
      return result == nullptr ? Json::Object{} : result->as_object("result");
    }
    if (state == "failed") rethrow_failure(job);
    if (state == "cancelled") {
      fail(ErrorKind::Cancelled, "stopped; the same command goes on where this one left off");
    }
    const storage::Progress progress = to_progress(job);
    if (!progress.phase.empty()) output.progress(progress);
    seen = text_of(job, "updated_at");
  }
}

}  // namespace holdfast::ops
