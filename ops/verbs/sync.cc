#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "mirror/url.h"
#include "ops/api_client.h"
#include "ops/job_verb.h"
#include "ops/verbs/repository.h"
#include "ops/verbs/verbs.h"
#include "storage/base/error.h"
#include "storage/repo_id.h"

namespace holdfast::ops {
namespace {

struct SyncOptions {
  std::vector<std::string> repos;
  std::string from;
  std::vector<std::string> include, exclude;
  bool dry_run = false;
  bool holes = false;
};

Json to_json(const std::vector<std::string>& values) {
  return Json::Array(values.begin(), values.end());
}

bool is_url(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

// One thing to mirror, as the command line or the configuration names it.
struct Target {
  std::string repo;
  std::string revision;  // empty: the default branch
  std::string upstream;  // configured name; empty: the first
  std::vector<std::string> include, exclude;
};

Target parse_target(const std::string& text, const SyncOptions& options) {
  const std::size_t at = text.find('@');
  Target target{.repo = text.substr(0, at), .include = options.include, .exclude = options.exclude};
  if (at != std::string::npos) {
    target.revision = text.substr(at + 1);
    if (target.revision.empty()) {
      fail(ErrorKind::Invalid, fmt::format("\"{}\": nothing stands after '@'", text));
    }
  }
  target.repo = to_text(storage::parse_repo_id(target.repo));
  return target;
}

// Command line first; without repositories, all that the configuration lists.
std::vector<Target> targets(const Config& config, const SyncOptions& options) {
  std::vector<Target> found;
  for (const std::string& text : options.repos) {
    Target target = parse_target(text, options);
    for (const MirrorSettings& mirror : config.mirrors) {
      if (to_text(storage::parse_repo_id(mirror.repo)) != target.repo) continue;
      target.upstream = mirror.upstream;
      if (target.include.empty()) target.include = mirror.include;
      if (target.exclude.empty()) target.exclude = mirror.exclude;
    }
    found.push_back(std::move(target));
  }
  if (!options.repos.empty()) return found;
  for (const MirrorSettings& mirror : config.mirrors) {
    Target target{.repo = to_text(storage::parse_repo_id(mirror.repo)),
                  .upstream = mirror.upstream,
                  .include = mirror.include,
                  .exclude = mirror.exclude};
    std::vector<std::string> revisions = mirror.revisions;
    if (revisions.empty()) revisions.emplace_back();
    for (const std::string& revision : revisions) {
      target.revision = revision;
      found.push_back(target);
    }
  }
  if (found.empty()) {
    fail(ErrorKind::Invalid,
         "nothing to sync: name a repository, or list [[mirror]] in the configuration");
  }
  return found;
}

JobRequest to_request(const Target& target, const SyncOptions& options, bool force) {
  Json::Object parameters{{"repo", target.repo},
                          {"revision", target.revision},
                          {"upstream", target.upstream},
                          {"include", to_json(target.include)},
                          {"exclude", to_json(target.exclude)},
                          {"dry_run", options.dry_run},
                          {"force", force}};
  if (is_url(options.from)) {
    // Refuses credentials in the address before it can stand in a job row.
    mirror::parse_url(options.from);
    parameters.set("endpoint", options.from);
  } else if (!options.from.empty()) {
    parameters.set("directory",
                   std::filesystem::absolute(options.from).lexically_normal().string());
  }
  return {.kind = "sync", .key = to_text(Json(parameters)), .parameters = parameters};
}

std::string to_line(const Target& target, const Json::Object& result, bool dry_run) {
  const auto number = [&result](std::string_view key) {
    const Json* value = result.find(key);
    return value == nullptr ? std::uint64_t{0} : value->as_uint(key);
  };
  const Json* commit = result.find("commit");
  std::string line =
      fmt::format("{} {}", display_name(target.repo),
                  commit == nullptr || commit->is_null() ? "" : commit->as_string("commit"));
  if (dry_run) {
    line += fmt::format("  {} to fetch", format_bytes(number("bytes_to_fetch")));
    if (const Json* plan = result.find("plan")) {
      for (const Json& file : plan->as_array("plan")) {
        line +=
            fmt::format("\n  {:>10}  {}  ({})", format_bytes(file.find("size")->as_uint("size")),
                        file.find("path")->as_string("path"), file.find("why")->as_string("why"));
      }
    }
    return line;
  }
  const Json* current = result.find("already_current");
  if (current != nullptr && current->as_bool()) return line + "  already current";
  return line + fmt::format("  {} files, {} fetched of {}", number("files"),
                            format_bytes(number("bytes_fetched")),
                            format_bytes(number("bytes_total")));
}

int list_holes(ApiClient& client, Output& output) {
  const Json answer = client.get("/-/api/v1/holes");
  const Json::Array& holes = answer.find("holes")->as_array("holes");
  std::string text;
  for (const Json& hole : holes) {
    const auto field = [&hole](std::string_view key) -> const std::string& {
      return hole.find(key)->as_string(key);
    };
    text +=
        fmt::format("{}@{} {}: {}\n", field("id"), field("commit"), field("path"), field("reason"));
  }
  if (holes.empty()) text = "no open holes";
  output.done(answer.as_object(), text);
  return holes.empty() ? kExitDone : kExitFinding;
}

int run_sync(const SyncOptions& options, const Invocation& invocation, Output& output) {
  const Config config = invocation.config();
  const auto client = open_client(config, invocation.environment, StoreUse::Create);
  if (options.holes) return list_holes(*client, output);
  Json::Array results;
  std::string text;
  for (const Target& target : targets(config, options)) {
    Json::Object result =
        run_job(*client, to_request(target, options, invocation.force), output, invocation.stop);
    if (const Json* warnings = result.find("warnings")) {
      for (const Json& line : warnings->as_array("warnings")) {
        output.note("warning: " + line.as_string("warnings"));
      }
    }
    text += to_line(target, result, options.dry_run) + "\n";
    results.emplace_back(std::move(result));
  }
  client->finish();
  output.done({{"repositories", std::move(results)}}, text);
  return kExitDone;
}

}  // namespace

void add_sync(CLI::App& app, Run& run) {
  CLI::App* sync = app.add_subcommand("sync", "Mirror repositories now");
  auto options = std::make_shared<SyncOptions>();
  sync->add_option(
      "REPO", options->repos,
      "owner/name[@revision], dataset/owner/name; none: all that the configuration lists");
  sync->add_option("--from", options->from, "Hub URL, a model folder, or a Hugging Face cache");
  sync->add_option("--include", options->include, "Mirror only paths that match (fnmatch)");
  sync->add_option("--exclude", options->exclude, "Leave out paths that match (fnmatch)");
  sync->add_flag("--dry-run", options->dry_run, "List what would be fetched");
  sync->add_flag("--holes", options->holes, "List what could not be mirrored");
  sync->callback([&run, options] {
    run = [options](const Invocation& invocation, Output& output) {
      return run_sync(*options, invocation, output);
    };
  });
}

}  // namespace holdfast::ops
