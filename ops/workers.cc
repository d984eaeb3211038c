#include "ops/workers.h"

#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "convert/convert.h"
#include "convert/scan.h"
#include "mirror/sync.h"
#include "storage/base/error.h"

namespace holdfast::ops {
namespace {

using storage::Job;
using storage::JobContext;

constexpr std::size_t kScansMax = 1000;

// What a job body may use; borrowed for the job's run.
struct WorkerContext {
  storage::Store& store;
  const Config& config;
  const Environment& environment;
};

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

// The token is read here and never stands in a job row.
mirror::UpstreamConfig upstream_of(const Job& job, const WorkerContext& context) {
  UpstreamSettings settings;
  if (const std::string endpoint = text_parameter(job, "endpoint"); !endpoint.empty()) {
    settings = upstream_at(context.config, endpoint);
  } else {
    settings =
        choose_upstream(context.config, text_parameter(job, "upstream"), context.environment);
  }
  return {.name = settings.name,
          .endpoint = settings.endpoint,
          .token = read_token(settings, context.environment),
          .proxy = settings.proxy,
          .ca_file = settings.ca_file.string(),
          .redirect_hosts = settings.redirect_hosts,
          .offline = context.config.offline};
}

Json::Object run_sync(const Job& job, const WorkerContext& context, JobContext& progress) {
  const storage::RepoId repo = storage::parse_repo_id(text_parameter(job, "repo"));
  if (const std::string directory = text_parameter(job, "directory"); !directory.empty()) {
    return mirror::sync_directory({.repo = repo,
                                   .directory = directory,
                                   .revision = text_parameter(job, "revision"),
                                   .selection = selection_of(job),
                                   .dry_run = flag_parameter(job, "dry_run")},
                                  context.store, progress);
  }
  return mirror::sync({.repo = repo,
                       .revision = text_parameter(job, "revision"),
                       .selection = selection_of(job),
                       .upstream = upstream_of(job, context),
                       .dry_run = flag_parameter(job, "dry_run"),
                       .force = flag_parameter(job, "force")},
                      context.store, progress);
}

Json::Object run_scan(const Job& job, const WorkerContext& context, JobContext& progress) {
  const std::string commit = text_parameter(job, "commit");
  const auto oid = parse_git_oid(commit);
  if (!oid) fail(ErrorKind::Invalid, fmt::format("scan: commit: \"{}\" is no commit id", commit));
  return convert::scan_revision(storage::parse_repo_id(text_parameter(job, "repo")), *oid,
                                context.store, progress);
}

Json::Object run_convert(const Job& job, const WorkerContext& context, JobContext& progress) {
  return convert::convert(convert::parse_request(job.parameters), &context.store, progress);
}

Json::Object run_fsck(const Job& job, const WorkerContext& context, JobContext& progress) {
  return context.store.care().fsck({.full = flag_parameter(job, "full")}, progress);
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
};

constexpr std::array<JobKind, 7> kJobKinds = {{
    {"sync", run_sync},
    {"scan", run_scan},
    {"convert", run_convert},
    {"fsck", run_fsck},
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

}  // namespace

Workers::Workers(storage::Store& store, const Config& config, const Environment& environment) {
  for (const JobKind& kind : kJobKinds) {
    threads_.emplace_back([&store, &config, &environment, &kind](const std::stop_token& stop) {
      const WorkerContext context{store, config, environment};
      const std::array<std::string_view, 1> kinds = {kind.name};
      const auto body = [&context](const Job& job, JobContext& progress) {
        return run_job(job, context, progress);
      };
      while (store.jobs().run_next(kinds, body, stop)) {
      }
    });
  }
}

void run_queued_job(storage::Store& store, storage::JobId id, const Config& config,
                    const Environment& environment, std::stop_token stop) {
  const WorkerContext context{store, config, environment};
  store.jobs().run_one(
      id,
      [&context](const Job& job, JobContext& progress) { return run_job(job, context, progress); },
      std::move(stop));
}

void run_queued_scans(storage::Store& store, const Config& config, const Environment& environment) {
  for (const Job& job : store.jobs().list(kScansMax)) {
    if (job.kind == "scan" && job.state == storage::JobState::Queued) {
      run_queued_job(store, job.id, config, environment, {});
    }
  }
}

}  // namespace holdfast::ops
