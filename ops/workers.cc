#include "ops/workers.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "convert/convert.h"
#include "convert/scan.h"
#include "mirror/mirror.h"
#include "mirror/sync.h"
#include "ops/repair.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/scans.h"
#include "storage/xet/indexing.h"

namespace holdfast::ops {
namespace {

using storage::Job;
using storage::JobContext;

constexpr std::size_t kScansMax = 1000;

// What a job body may use; borrowed for the job's run.
struct WorkerContext {
  storage::Store& store;
  const Config& config;
  Upstreams& upstreams;
  mirror::EventSink& events;
  Mirroring& mirroring;
};

WorkerContext context_of(storage::Store& store, const Config& config, Mirroring& mirroring) {
  return {store, config, mirroring.upstreams(), mirroring.events(), mirroring};
}

std::string text_parameter(const Job& job, std::string_view key) {
  const Json* value = job.parameters.find(key);
  return value == nullptr || value->is_null() ? std::string() : value->as_string(key);
}

bool flag_parameter(const Job& job, std::string_view key) {
  const Json* value = job.parameters.find(key);
  return value != nullptr && value->as_bool(key);
}

std::vector<std::string> list_parameter(const Job& job, std::string_view key) {
  std::vector<std::string> values;
  if (const Json* list = job.parameters.find(key)) {
    for (const Json& value : list->as_array(key)) values.push_back(value.as_string(key));
  }
  return values;
}

storage::Selection selection_of(const Job& job) {
  return {.include = list_parameter(job, "include"), .exclude = list_parameter(job, "exclude")};
}

// Unless upstream answered to one rule at least: then the job is done, and its result says what it
// lacks.
void fail_if_none_answered(const Json::Array& rules, ErrorKind kind) {
  std::string all;
  for (const Json& rule : rules) {
    const Json* const error = rule.find("error");
    const std::string why =
        error != nullptr ? error->as_string("error") : mirror::why_unanswered(rule.as_object());
    if (why.empty()) return;
    all += fmt::format("{}{}: {}", all.empty() ? "" : "; ", rule.find("pattern")->as_string(), why);
  }
  if (!all.empty()) fail(kind, all);
}

// All that the configuration lists. A rule whose upstream cannot even list does not stop the next.
Json::Object run_sync_all(const Job& job, const WorkerContext& context, JobContext& progress) {
  Json::Array rules;
  std::optional<ErrorKind> refused;  // the first refusal's
  if (!flag_parameter(job, "dry_run")) {
    mirror::close_stale_holes(context.config.mirrors, context.store, context.events);
  }
  for (const mirror::MirrorRule& rule : context.config.mirrors) {
    try {
      mirror::MirrorRequest request = context.mirroring.mirror_request(rule);
      request.dry_run = flag_parameter(job, "dry_run");
      request.force = flag_parameter(job, "force");
      rules.emplace_back(mirror::mirror_rule(request, std::nullopt, context.store, progress));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::Cancelled || error.kind() == ErrorKind::Io) throw;
      refused = refused.value_or(error.kind());
      rules.emplace_back(Json::Object{
          {"pattern", rule.repo}, {"error_kind", to_text(error.kind())}, {"error", error.what()}});
    }
  }
  fail_if_none_answered(rules, refused.value_or(ErrorKind::Unavailable));
  return {{"rules", std::move(rules)}, {"bytes_free", free_bytes(context.store.directory())}};
}

// A sync that takes less than the rule leaves the rule's holes open.
mirror::ClosesHoles closes_holes(const storage::Selection& asked, const mirror::MirrorRule& rule) {
  if (!asked.include.empty() || !asked.exclude.empty()) return mirror::ClosesHoles::None;
  return rule.revisions.empty() ? mirror::ClosesHoles::OfRepository : mirror::ClosesHoles::OfCommit;
}

// One repository by hand; what the command line leaves open, its [[mirror]] says.
mirror::SyncRequest sync_request(const Job& job, const storage::RepoId& repo,
                                 const WorkerContext& context) {
  mirror::SyncRequest request{
      .repo = repo, .revision = text_parameter(job, "revision"), .selection = selection_of(job)};
  std::vector<mirror::UpstreamConfig> upstreams;
  if (const auto* rule = mirror::find_rule(context.config.mirrors, repo)) {
    const storage::Selection selected = mirror::selection_of(*rule);
    request.closes = closes_holes(request.selection, *rule);
    if (request.selection.include.empty()) request.selection.include = selected.include;
    if (request.selection.exclude.empty()) request.selection.exclude = selected.exclude;
    request.limits = {.size_bytes_max = rule->size_bytes_max, .licenses = rule->licenses};
    request.full_history = rule->full_history;
    upstreams = context.upstreams.of(*rule);
  } else {
    upstreams = {context.upstreams.named("")};
  }
  if (const std::string endpoint = text_parameter(job, "endpoint"); !endpoint.empty()) {
    upstreams = {context.upstreams.at(endpoint)};
  }
  request.upstream = upstreams.front();
  request.fallbacks.assign(upstreams.begin() + 1, upstreams.end());
  request.dry_run = flag_parameter(job, "dry_run");
  request.force = flag_parameter(job, "force");
  request.full_history = request.full_history || flag_parameter(job, "full_history");
  request.events = &context.events;
  return request;
}

Json::Object run_sync(const Job& job, const WorkerContext& context, JobContext& progress) {
  if (text_parameter(job, "repo").empty()) return run_sync_all(job, context, progress);
  const storage::RepoId repo = storage::parse_repo_id(text_parameter(job, "repo"));
  if (const std::string directory = text_parameter(job, "directory"); !directory.empty()) {
    return mirror::sync_directory({.repo = repo,
                                   .directory = directory,
                                   .revision = text_parameter(job, "revision"),
                                   .selection = selection_of(job),
                                   .dry_run = flag_parameter(job, "dry_run")},
                                  context.store, progress);
  }
  return mirror::sync(sync_request(job, repo, context), context.store, progress);
}

Json::Object run_mirror(const Job& job, const WorkerContext& context, JobContext& progress) {
  return context.mirroring.daemon().run(job.parameters, progress);
}

Json::Object run_pull(const Job& job, const WorkerContext& context, JobContext& progress) {
  return context.mirroring.pulls().run(storage::parse_repo_id(text_parameter(job, "repo")),
                                       text_parameter(job, "revision"), progress);
}

Json::Object run_webhook(const Job& job, const WorkerContext& context, JobContext& progress) {
  return context.mirroring.deliver_webhook(job.parameters, progress);
}

Json::Object run_scan(const Job& job, const WorkerContext& context, JobContext& progress) {
  const std::string commit = text_parameter(job, "commit");
  const auto oid = parse_git_oid(commit);
  if (!oid) fail(ErrorKind::Invalid, fmt::format("scan: commit: \"{}\" is no commit id", commit));
  const storage::RepoId repo = storage::parse_repo_id(text_parameter(job, "repo"));
  Json::Object facts = convert::scan_revision(repo, *oid, context.store, progress);
  const auto size_bytes_min = web::xet_size_bytes_min(context.config.xet);
  if (size_bytes_min &&
      !storage::xet::files_without_index(context.store, repo, *oid, *size_bytes_min).empty()) {
    storage::xet::ask_for_index(context.store, repo, *oid);
  }
  return facts;
}

Json::Object run_xet(const Job& job, const WorkerContext& context, JobContext& progress) {
  const auto size_bytes_min = web::xet_size_bytes_min(context.config.xet);
  if (!size_bytes_min) fail(ErrorKind::Unsupported, "web.xet is off: no index is needed");
  return storage::xet::index_revision(context.store, job, *size_bytes_min, progress);
}

Json::Object run_convert(const Job& job, const WorkerContext& context, JobContext& progress) {
  return convert::convert(convert::parse_request(job.parameters), &context.store, progress);
}

Json::Object run_fsck(const Job& job, const WorkerContext& context, JobContext& progress) {
  const bool repair = flag_parameter(job, "repair");
  Json::Object result =
      context.store.care().fsck({.full = flag_parameter(job, "full"), .repair = repair}, progress);
  if (repair) enqueue_repairs(context.store, result);
  return result;
}

Json::Object run_backup(const Job& job, const WorkerContext& context, JobContext& progress) {
  return context.store.care().backup(
      {.directory = text_parameter(job, "directory"), .copy = flag_parameter(job, "copy")},
      progress);
}

Json::Object run_gc(const Job& job, const WorkerContext& context, JobContext& progress) {
  if (const std::string why = text_parameter(job, "why"); !why.empty()) {
    const auto digest = parse_digest(why);
    if (!digest) fail(ErrorKind::Invalid, fmt::format("gc: --why: \"{}\" is no SHA-256", why));
    return context.store.care().why(*digest);
  }
  return context.store.care().gc({.dry_run = flag_parameter(job, "dry_run"),
                                  .now = flag_parameter(job, "now"),
                                  .force = flag_parameter(job, "force")},
                                 progress);
}

Json::Object run_remove(const Job& job, const WorkerContext& context, JobContext&) {
  storage::Catalog& catalog = context.store.catalog();
  const storage::RepoId repo = storage::parse_repo_id(text_parameter(job, "repo"));
  const std::string revision = text_parameter(job, "revision");
  std::optional<GitOid> commit;
  if (!revision.empty()) commit = catalog.resolve(repo, revision);
  if (!catalog.find_repository(repo) || (!revision.empty() && !commit)) {
    fail(ErrorKind::NotFound, describe_missing(catalog, repo, revision));
  }
  const storage::Removal removal = catalog.remove(repo, commit);
  Json::Array revisions;
  for (const GitOid& oid : removal.revisions) revisions.emplace_back(to_hex(oid));
  return {{"repo", to_text(repo)},
          {"revisions", std::move(revisions)},
          {"refs", Json::Array(removal.refs.begin(), removal.refs.end())},
          {"repository_removed", removal.repository}};
}

Json::Object run_stats(const Job&, const WorkerContext& context, JobContext&) {
  return context.store.care().stats();
}

// Every kind of job, and what runs it.
struct JobKind {
  std::string_view name;
  Json::Object (*run)(const Job& job, const WorkerContext& context, JobContext& progress);
  unsigned threads = 1;  // jobs of the kind that a server runs at once
};

constexpr std::array<JobKind, 12> kJobKinds = {{
    {"sync", run_sync},
    {"mirror", run_mirror, 2},
    {"pull", run_pull, 4},  // clients wait for them
    {"webhook", run_webhook},
    {"scan", run_scan},
    {storage::xet::kIndexJob, run_xet},
    {"convert", run_convert},
    {"fsck", run_fsck},
    {"backup", run_backup},
    {"gc", run_gc},
    {"remove", run_remove},
    {"stats", run_stats},
}};

Json::Object run_job(const Job& job, const WorkerContext& context, JobContext& progress) {
  const auto* kind = std::ranges::find(kJobKinds, job.kind, &JobKind::name);
  if (kind == kJobKinds.end()) {
    fail(ErrorKind::Unsupported, fmt::format("job {}: kind \"{}\" is not known", job.id, job.kind));
  }
  const auto start = std::chrono::steady_clock::now();
  const auto milliseconds = [start] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 start)
        .count();
  };
  try {
    Json::Object result = kind->run(job, context, progress);
    spdlog::info("job_done id={} kind={} ms={}", job.id, job.kind, milliseconds());
    return result;
  } catch (const Error& error) {
    spdlog::warn("job_failed id={} kind={} ms={} error_kind={} error={:?}", job.id, job.kind,
                 milliseconds(), to_text(error.kind()), error.what());
    throw;
  }
}

Json::Object run_counted_job(const Job& job, const WorkerContext& context, JobContext& progress,
                             Metrics& metrics) {
  const auto start = std::chrono::steady_clock::now();
  const auto took = [start] { return std::chrono::steady_clock::now() - start; };
  std::optional<Json::Object> result;
  try {
    result = run_job(job, context, progress);
  } catch (...) {
    metrics.add_job(job, took(), nullptr);
    throw;
  }
  metrics.add_job(job, took(), &*result);
  return *std::move(result);
}

// Beside the work, for a store of many repositories takes a while.
void look_for_missing_scans(storage::Store& store, const std::stop_token& stop) {
  try {
    const std::size_t found = storage::request_missing_scans(store, stop);
    if (found > 0) spdlog::info("scans_missing queued={}", found);
  } catch (const std::exception& error) {
    spdlog::warn("scans_missing error={:?}", error.what());
  }
}

}  // namespace

Workers::Workers(storage::Store& store, const Config& config, Mirroring& mirroring,
                 Metrics& metrics) {
  for (const JobKind& kind : kJobKinds) {
    const auto run = [&store, &config, &mirroring, &metrics, &kind](const std::stop_token& stop) {
      const WorkerContext context = context_of(store, config, mirroring);
      const std::array<std::string_view, 1> kinds = {kind.name};
      const auto body = [&context, &metrics](const Job& job, JobContext& progress) {
        return run_counted_job(job, context, progress, metrics);
      };
      while (store.jobs().run_next(kinds, body, stop)) {
      }
    };
    for (unsigned i = 0; i < kind.threads; ++i) threads_.emplace_back(run);
  }
  threads_.emplace_back(
      [&store](const std::stop_token& stop) { look_for_missing_scans(store, stop); });
}

void run_queued_job(storage::Store& store, storage::JobId id, const Config& config,
                    const Environment& environment, std::stop_token stop) {
  Mirroring mirroring(store, config, environment);
  const WorkerContext context = context_of(store, config, mirroring);
  store.jobs().run_one(
      id,
      [&context](const Job& job, JobContext& progress) { return run_job(job, context, progress); },
      std::move(stop));
}

void run_queued_scans(storage::Store& store, const Config& config, const Environment& environment) {
  const storage::JobQueue::Filter queued{.state = storage::JobState::Queued, .kind = "scan"};
  for (const Job& job : store.jobs().list(kScansMax, queued)) {
    run_queued_job(store, job.id, config, environment, {});
  }
}

}  // namespace holdfast::ops
