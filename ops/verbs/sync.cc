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
  bool full_history = false;
  bool holes = false;
};

Json to_json(const std::vector<std::string>& values) {
  return Json::Array(values.begin(), values.end());
}

bool is_url(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

// One thing to mirror, as the command line names it.
struct Target {
  std::string repo;      // empty: all that the configuration lists
  std::string revision;  // empty: the default branch
};

Target parse_target(const std::string& text) {
  const std::size_t at = text.find('@');
  Target target{.repo = to_text(storage::parse_repo_id(text.substr(0, at))), .revision = ""};
  if (at != std::string::npos) {
    target.revision = text.substr(at + 1);
    if (target.revision.empty()) {
      fail(ErrorKind::Invalid, fmt::format("\"{}\": nothing stands after '@'", text));
    }
  }
  return target;
}

JobRequest to_request(const Target& target, const SyncOptions& options, bool force) {
  Json::Object parameters{{"repo", target.repo},
                          {"revision", target.revision},
                          {"include", to_json(options.include)},
                          {"exclude", to_json(options.exclude)},
                          {"dry_run", options.dry_run},
                          {"full_history", options.full_history},
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

std::uint64_t number_of(const Json& result, std::string_view key) {
  const Json* value = result.find(key);
  return value == nullptr ? 0 : value->as_uint(key);
}

std::string text_of(const Json& result, std::string_view key) {
  const Json* value = result.find(key);
  return value == nullptr ? "" : value->as_string(key);
}

std::string plan_text(const Json& result) {
  std::string text =
      fmt::format("  {} to fetch", format_bytes(number_of(result, "bytes_to_fetch")));
  const Json* plan = result.find("plan");
  if (plan == nullptr) return text;
  for (const Json& file : plan->as_array("plan")) {
    text += fmt::format("\n  {:>10}  {}  ({})", format_bytes(number_of(file, "size")),
                        text_of(file, "path"), text_of(file, "why"));
  }
  return text;
}

std::string revision_line(const Json& result, bool dry_run) {
  const std::string line =
      fmt::format("{} {}", display_name(text_of(result, "repo")), text_of(result, "commit"));
  if (dry_run) return line + plan_text(result);
  const Json* current = result.find("already_current");
  if (current != nullptr && current->as_bool()) return line + "  already current";
  return line + fmt::format("  {} files, {} fetched of {}", number_of(result, "files"),
                            format_bytes(number_of(result, "bytes_fetched")),
                            format_bytes(number_of(result, "bytes_total")));
}

// What one [[mirror]] brought. Holes and refusals are findings.
std::string rule_text(const Json& rule, bool dry_run, bool& finding) {
  const std::string pattern = text_of(rule, "pattern");
  if (rule.find("error") != nullptr) {
    finding = true;
    return fmt::format("{}: {}\n", pattern, text_of(rule, "error"));
  }
  std::string text =
      fmt::format("{}: {} repositories, {} current, {} open holes, {} {}\n", pattern,
                  number_of(rule, "listed"), number_of(rule, "current"), number_of(rule, "holes"),
                  format_bytes(number_of(rule, dry_run ? "bytes_to_fetch" : "bytes_fetched")),
                  dry_run ? "to fetch" : "fetched");
  finding = finding || number_of(rule, "holes") > 0;
  if (const Json* const cards = rule.find("cards")) {
    text += dry_run ? fmt::format("  {} cards to fetch", number_of(*cards, "to_fetch"))
                    : fmt::format("  {} cards arrived", number_of(*cards, "published"));
    text += fmt::format(", {} left out\n", number_of(*cards, "left_out"));
  }
  for (const Json& repository : rule.find("repositories")->as_array("repositories")) {
    const std::string repo = text_of(repository, "repo");
    const std::string_view name = display_name(repo);
    for (const Json& revision : repository.find("revisions")->as_array("revisions")) {
      text += "  " + revision_line(revision, dry_run) + "\n";
    }
    for (const Json& skipped : repository.find("skipped")->as_array("skipped")) {
      text += fmt::format("  {} {}  left out: {}\n", name, text_of(skipped, "commit"),
                          text_of(skipped, "reason"));
    }
    for (const Json& hole : repository.find("holes")->as_array("holes")) {
      text += fmt::format("  {} {}  HOLE: {}\n", name, text_of(hole, "revision"),
                          text_of(hole, "reason"));
    }
    if (repository.find("gone") != nullptr) {
      text += fmt::format("  {}  gone upstream, kept here\n", name);
    }
  }
  return text;
}

int list_holes(ApiClient& client, Output& output) {
  const Json answer = client.get("/-/api/v1/holes");
  const Json::Array& holes = answer.find("holes")->as_array("holes");
  std::string text;
  for (const Json& hole : holes) {
    const std::string commit = text_of(hole, "commit"), path = text_of(hole, "path");
    text += fmt::format("{}{}{}  since {}: {}\n", text_of(hole, "id"),
                        commit.empty() ? "" : "@" + commit, path.empty() ? "" : " " + path,
                        text_of(hole, "since").substr(0, 16), text_of(hole, "reason"));
  }
  if (holes.empty()) text = "no open holes";
  output.done(answer.as_object(), text);
  return holes.empty() ? kExitDone : kExitFinding;
}

int sync_all(const SyncOptions& options, const Invocation& invocation, ApiClient& client,
             Output& output) {
  if (!options.from.empty() || !options.include.empty() || !options.exclude.empty()) {
    fail(ErrorKind::Invalid, "--from, --include and --exclude need a repository");
  }
  if (invocation.config().mirrors.empty()) {
    fail(ErrorKind::Invalid,
         "nothing to sync: name a repository, or list [[mirror]] in the configuration");
  }
  Json::Object result =
      run_job(client, to_request({}, options, invocation.force), output, invocation.stop);
  client.finish();
  std::string text;
  bool finding = false;
  std::uint64_t bytes = 0;
  for (const Json& rule : result["rules"].as_array("rules")) {
    text += rule_text(rule, options.dry_run, finding);
    bytes += number_of(rule, "bytes_to_fetch");
  }
  const std::uint64_t free = result["bytes_free"].as_uint("bytes_free");
  if (options.dry_run) {
    text += fmt::format("{} to fetch, {} free{}\n", format_bytes(bytes), format_bytes(free),
                        bytes > free ? ": this does not fit" : "");
  }
  output.done(result, text);
  return finding ? kExitFinding : kExitDone;
}

int run_sync(const SyncOptions& options, const Invocation& invocation, Output& output) {
  const Config config = invocation.config();
  const auto client = open_client(config, invocation.environment, StoreUse::Create);
  if (options.holes) return list_holes(*client, output);
  if (options.repos.empty()) return sync_all(options, invocation, *client, output);
  Json::Array results;
  std::string text;
  for (const std::string& name : options.repos) {
    Json::Object result =
        run_job(*client, to_request(parse_target(name), options, invocation.force), output,
                invocation.stop);
    if (const Json* warnings = result.find("warnings")) {
      for (const Json& line : warnings->as_array("warnings")) {
        output.note("warning: " + line.as_string("warnings"));
      }
    }
    text += revision_line(result, options.dry_run) + "\n";
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
  sync->add_flag("--full-history", options->full_history,
                 "Mirror git's commits before the newest one, too");
  sync->add_flag("--holes", options->holes, "List what could not be mirrored");
  sync->callback([&run, options] {
    run = [options](const Invocation& invocation, Output& output) {
      return run_sync(*options, invocation, output);
    };
  });
}

}  // namespace holdfast::ops
