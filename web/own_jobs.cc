// Jobs under /-/api/v1/jobs: looking at them, and what only operators may (internal/gate.cc).
#include <algorithm>
#include <charconv>

#include "web/internal/answers.h"
#include "web/internal/forms.h"
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

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

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
                      {"shortfall", text_or_null(shortfall_of(job))},
                      {"error", text_or_null(job.error)},
                      {"error_kind", text_or_null(job.error_kind)},
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

// Holes as results tell them (mirror/mirror.h): a rule's are counted, a repository's are listed.
std::uint64_t holes_in(const Json::Object& result) {
  const Json* const holes = result.find("holes");
  if (holes == nullptr) return 0;
  if (holes->is_array()) return holes->as_array().size();
  return holes->is_integer() ? holes->as_uint() : 0;
}

std::string counted(std::uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// The job that the URL names, changed; an answer that shows how it now is.
Response change_job(const Call& call, void (storage::JobQueue::*change)(storage::JobId)) {
  const storage::Job job = find_job(call);
  return about(name_of(job), [&] {
    try {
      (call.services.store.jobs().*change)(job.id);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Conflict) throw;
      refuse(409, "", error.what());
    }
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

std::string shortfall_of(const storage::Job& job) {
  if (job.state != storage::JobState::Done) return {};
  std::uint64_t holes = holes_in(job.result), failed = 0;
  const Json* const rules = job.result.find("rules");
  const std::size_t all = rules != nullptr && rules->is_array() ? rules->as_array().size() : 0;
  for (std::size_t i = 0; i < all; ++i) {
    const Json& rule = rules->as_array()[i];
    if (!rule.is_object()) continue;
    holes += holes_in(rule.as_object());
    failed += rule.find("error") == nullptr ? 0 : 1;
  }
  std::string text;
  if (failed > 0) text = std::to_string(failed) + " of " + counted(all, "mirror") + " failed";
  if (holes > 0) text += (text.empty() ? "" : ", ") + counted(holes, "hole");
  return text;
}

JobFilter read_job_filter(const Call& call) {
  return {.state = field(call.query, "state"),
          .kind = field(call.query, "kind"),
          .before = number_of(field(call.query, "before")).value_or(0)};
}

ListedJobs find_jobs(const storage::JobQueue& queue, const JobFilter& filter, std::size_t limit) {
  const auto state = storage::parse_job_state(filter.state);
  if (!state && !filter.state.empty()) return {};
  ListedJobs listed{.jobs = queue.list(
                        limit + 1, {.state = state, .kind = filter.kind, .before = filter.before})};
  listed.more = listed.jobs.size() > limit;
  if (listed.more) listed.jobs.pop_back();
  return listed;
}

Response list_jobs(const Call& call) {
  const ListedJobs listed =
      find_jobs(call.services.store.jobs(), read_job_filter(call), page_limit(call, kJobsPage));
  Json::Array list;
  for (const storage::Job& job : listed.jobs) list.push_back(job_json(call, job));
  const Json next = listed.more ? Json(listed.jobs.back().id) : Json();
  return json_response(Json::Object{{"jobs", std::move(list)}, {"next", next}});
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
