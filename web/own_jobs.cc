// Jobs under /-/api/v1/jobs: looking at them, and what only operators may (internal/gate.cc).
#include <algorithm>
#include <charconv>

#include "web/internal/answers.h"
#include "web/internal/jobs.h"
#include "web/internal/request_json.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

Json progress_json(const storage::Progress& progress) {
  return Json::Object{{"phase", progress.phase},
                      {"done_bytes", progress.done_bytes},
                      {"total_bytes", progress.total_bytes},
                      {"done_items", progress.done_items},
                      {"total_items", progress.total_items},
                      {"note", progress.note}};
}

// Only the operator sees what a job was asked: it names local paths and addresses.
Json job_json(const Call& call, const storage::Job& job) {
  const bool trusted = call.request.trusted;
  return Json::Object{{"id", job.id},
                      {"kind", job.kind},
                      {"key", trusted ? Json(job.key) : Json()},
                      {"parameters", trusted ? Json(job.parameters) : Json()},
                      {"state", storage::to_text(job.state)},
                      {"progress", progress_json(job.progress)},
                      {"result", job.result},
                      {"error", job.error.empty() ? Json() : Json(job.error)},
                      {"error_kind", job.error_kind.empty() ? Json() : Json(job.error_kind)},
                      {"created_at", to_text(job.created_at)},
                      {"updated_at", to_text(job.updated_at)}};
}

bool is_final(storage::JobState state) noexcept {
  return state != storage::JobState::Queued && state != storage::JobState::Running;
}

// How long the client is willing to wait for news of a job that it knows as of `after`.
std::chrono::milliseconds wait_of(const Call& call, const storage::Job& job) {
  const std::string* after = call.query.find("after");
  const std::string* wait = call.query.find("wait");
  if (after == nullptr || wait == nullptr || is_final(job.state)) return {};
  if (*after != to_text(job.updated_at)) return {};
  std::int64_t milliseconds = 0;
  const auto result = std::from_chars(wait->data(), wait->data() + wait->size(), milliseconds);
  if (result.ec != std::errc() || milliseconds < 0) {
    refuse(400, "", "wait: expected milliseconds, found \"" + *wait + "\"");
  }
  return std::min(std::chrono::milliseconds(milliseconds), kLongPollMax);
}

const std::string& text_field(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  if (value == nullptr || !value->is_string() || value->as_string().empty()) {
    refuse(400, "", "request body: " + std::string(key) + ": expected a text");
  }
  return value->as_string();
}

// As the audit trail names it.
std::string name_of(const storage::Job& job) {
  const std::string repo = repository_of(job);
  return "job " + std::to_string(job.id) + " " + job.kind + (repo.empty() ? "" : " " + repo);
}

// The job that the URL names, changed; an answer that shows how it now is.
Response change_job(const Call& call, void (storage::JobQueue::*change)(storage::JobId)) {
  const storage::Job job = find_job(call);
  return about(name_of(job), [&] {
    (call.services.store.jobs().*change)(job.id);
    return json_response(job_json(call, find_job(call)));
  });
}

}  // namespace

storage::Job find_job(const Call& call) {
  auto job = call.services.store.jobs().find(call.match.id);
  if (!job) refuse(404, "", "No job " + std::to_string(call.match.id));
  return *std::move(job);
}

std::string repository_of(const storage::Job& job) {
  for (const std::string_view key : {"repo", "source"}) {
    const Json* value = job.parameters.find(key);
    if (value != nullptr && value->is_string() && !value->as_string().starts_with('/')) {
      return value->as_string();
    }
  }
  return {};
}

Response list_jobs(const Call& call) {
  Json::Array list;
  for (const auto& job : call.services.store.jobs().list(page_limit(call, kJobsPage))) {
    list.push_back(job_json(call, job));
  }
  return json_response(Json::Object{{"jobs", std::move(list)}});
}

Response enqueue_job(const Call& call) {
  const Json body = read_body(call, [](const Json& json) { return json; });
  const std::string& kind = text_field(body, "kind");
  const std::string& key = text_field(body, "key");
  const Json* parameters = body.find("parameters");
  if (parameters != nullptr && !parameters->is_object()) {
    refuse(400, "", "request body: parameters: expected an object");
  }
  const auto id = call.services.store.jobs().enqueue(
      kind, key, parameters == nullptr ? Json::Object{} : parameters->as_object());
  Response response = json_response(Json::Object{{"id", id}}, 201);
  if (const auto job = call.services.store.jobs().find(id)) response.subject = name_of(*job);
  return response;
}

Response show_job(const Call& call) {
  const storage::Job job = find_job(call);
  Response response = json_response(job_json(call, job));
  response.set("Cache-Control", "no-store");
  response.wait_max = wait_of(call, job);
  return response;
}

Response job_log(const Call& call) {
  const storage::Job job = find_job(call);
  Json::Array lines;
  for (const auto& line : call.services.store.jobs().log_lines(job.id)) lines.emplace_back(line);
  return json_response(Json::Object{{"id", job.id}, {"lines", std::move(lines)}});
}

Response cancel_job(const Call& call) { return change_job(call, &storage::JobQueue::cancel); }

Response retry_job(const Call& call) { return change_job(call, &storage::JobQueue::retry); }

}  // namespace holdfast::web
