// Work that was asked of this data directory: what there is, how it went, what it wrote.
#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ops/api_client.h"
#include "ops/verbs/verbs.h"

namespace holdfast::ops {
namespace {

constexpr std::string_view kJobs = "/-/api/v1/jobs";

struct ListOptions {
  std::string state, kind;
  std::size_t limit = 50;
};

// A member, "" where it is null.
std::string text_of(const Json& job, std::string_view key) {
  const Json* value = job.find(key);
  if (value == nullptr) return "";
  return value->is_string() ? value->as_string() : to_text(*value);
}

// What a job is about, as it was asked for.
std::string subject_of(const Json& job) {
  for (const std::string_view key : {"repo", "source"}) {
    const Json* value = job.find_path({"parameters", key});
    if (value != nullptr && value->is_string()) return value->as_string();
  }
  return "";
}

// "done", "done, with 3 holes", "failed: …"
std::string outcome_of(const Json& job) {
  const std::string state = text_of(job, "state");
  const std::string shortfall = text_of(job, "shortfall"), error = text_of(job, "error");
  if (!shortfall.empty()) return state + ", with " + shortfall;
  return error.empty() ? state : state + ": " + error;
}

std::string job_line(const Json& job) {
  constexpr std::size_t kMinutes = 16;
  return fmt::format("{:>6}  {:<8}  {}  {}  {}\n", text_of(job, "id"), text_of(job, "kind"),
                     text_of(job, "updated_at").substr(0, kMinutes), subject_of(job),
                     outcome_of(job));
}

// Newest first, page by page.
Json::Array find_jobs(ApiClient& client, const ListOptions& options) {
  Json::Array found;
  std::string before;
  while (found.size() < options.limit) {
    const Json page = client.get(
        fmt::format("{}?limit={}&state={}&kind={}&before={}", kJobs, options.limit - found.size(),
                    encode_component(options.state), encode_component(options.kind), before));
    for (const Json& job : page.find("jobs")->as_array("jobs")) found.push_back(job);
    before = text_of(page, "next");
    if (before.empty()) break;
  }
  return found;
}

int run_list(const ListOptions& options, const Invocation& invocation, Output& output) {
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  Json::Array jobs = find_jobs(*client, options);
  std::string text;
  for (const Json& job : jobs) text += job_line(job);
  if (jobs.empty()) output.note("no such jobs");
  output.done({{"jobs", std::move(jobs)}}, text);
  return kExitDone;
}

int run_log(std::uint64_t id, const Invocation& invocation, Output& output) {
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  const Json log = client->get(fmt::format("{}/{}/log", kJobs, id));
  std::string text;
  for (const Json& line : log.find("lines")->as_array("lines")) text += line.as_string() + "\n";
  output.done(log.as_object(), text);
  return kExitDone;
}

int run_change(std::string_view change, std::uint64_t id, const Invocation& invocation,
               Output& output) {
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  const Json job = client->call("POST", fmt::format("{}/{}/{}", kJobs, id, change), Json::Object{});
  output.done(job.as_object(), job_line(job));
  return kExitDone;
}

void add_list_of_jobs(CLI::App& jobs, Run& run) {
  CLI::App* list = jobs.add_subcommand("list", "Jobs, newest first");
  auto options = std::make_shared<ListOptions>();
  list->add_option("--state", options->state, "Only those that are so")
      ->check(CLI::IsMember({"queued", "running", "done", "failed", "cancelled"}));
  list->add_option("--kind", options->kind, "Only those of a kind, such as sync");
  list->add_option("--limit", options->limit, "At most so many (default 50)");
  list->callback([&run, options] {
    run = [options](const Invocation& invocation, Output& output) {
      return run_list(*options, invocation, output);
    };
  });
}

// A subcommand about one job.
void add_about(CLI::App& jobs, Run& run, const char* name, const char* about,
               const std::function<int(std::uint64_t, const Invocation&, Output&)>& act) {
  CLI::App* verb = jobs.add_subcommand(name, about);
  auto id = std::make_shared<std::uint64_t>(0);
  verb->add_option("ID", *id, "The job's number")->required();
  verb->callback([&run, id, act] {
    run = [id, act](const Invocation& invocation, Output& output) {
      return act(*id, invocation, output);
    };
  });
}

}  // namespace

void add_jobs(CLI::App& app, Run& run) {
  CLI::App* jobs = app.add_subcommand("jobs", "Work that was asked for, and how it went");
  jobs->require_subcommand(1);
  add_list_of_jobs(*jobs, run);
  add_about(*jobs, run, "log", "What a job wrote", run_log);
  for (const auto& [name, about] :
       {std::pair{"cancel", "Stop a job, resumably"},
        std::pair{"retry", "Queue a stopped job again; a server runs it"}}) {
    add_about(*jobs, run, name, about,
              [change = std::string_view(name)](std::uint64_t id, const Invocation& invocation,
                                                Output& output) {
                return run_change(change, id, invocation, output);
              });
  }
}

}  // namespace holdfast::ops
