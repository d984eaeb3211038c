// The verbs that look after a store: fsck, gc, remove, stats. Each is a job, so that a running
// server carries it out beside its other work.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ops/api_client.h"
#include "ops/job_verb.h"
#include "ops/verbs/repository.h"
#include "ops/verbs/verbs.h"
#include "storage/base/error.h"
#include "storage/repo_id.h"

namespace holdfast::ops {
namespace {

std::uint64_t number(const Json::Object& row, std::string_view key) {
  return row.find(key)->as_uint(key);
}

Json::Object run_here(std::string kind, Json::Object parameters, const Invocation& invocation,
                      Output& output) {
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  const std::string key = to_text(Json(parameters));
  Json::Object result =
      run_job(*client, {.kind = std::move(kind), .key = key, .parameters = std::move(parameters)},
              output, invocation.stop);
  client->finish();
  return result;
}

int run_fsck(bool full, const Invocation& invocation, Output& output) {
  const Json::Object result = run_here("fsck", {{"full", full}}, invocation, output);
  std::string text;
  const Json::Array& findings = result.find("findings")->as_array("findings");
  for (const Json& finding : findings) {
    text += fmt::format("{}  {}  {}\n", finding.find("kind")->as_string("kind"),
                        finding.find("name")->as_string("name"),
                        finding.find("text")->as_string("text"));
  }
  text += fmt::format("{} objects, {}, {}: {}", number(result, "objects"),
                      format_bytes(number(result, "bytes")),
                      full ? "every byte read" : "files and sizes",
                      findings.empty() ? "all well" : fmt::format("{} findings", findings.size()));
  if (const std::uint64_t extra = number(result, "extra_files"); extra > 0) {
    text += fmt::format("; {} files ({}) that no row names", extra,
                        format_bytes(number(result, "extra_bytes")));
  }
  output.done(result, text);
  return findings.empty() ? kExitDone : kExitFinding;
}

std::string tally_text(const Json::Object& result, std::string_view key) {
  const Json::Object& tally = result.find(key)->as_object(key);
  return fmt::format("{} objects, {}", number(tally, "objects"),
                     format_bytes(number(tally, "bytes")));
}

std::string holders_text(const Json::Object& result) {
  std::string text = fmt::format("{}  {}\n", result.find("sha256")->as_string("sha256"),
                                 result.find("state")->as_string("state"));
  const Json::Array& references = result.find("references")->as_array("references");
  const Json::Array& leases = result.find("leases")->as_array("leases");
  for (const Json& row : references) {
    text +=
        fmt::format("  {}@{}  {}\n", display_name(row.find("repo")->as_string("repo")),
                    row.find("commit")->as_string("commit"), row.find("path")->as_string("path"));
  }
  for (const Json& row : leases) {
    text += fmt::format("  lease {} until {}\n", row.find("key")->as_string("key"),
                        row.find("expires")->as_string("expires"));
  }
  if (references.empty() && leases.empty()) text += "  nothing keeps it\n";
  return text;
}

struct GcVerbOptions {
  bool dry_run = false;
  bool now = false;
  std::string why;
};

int run_gc(const GcVerbOptions& options, const Invocation& invocation, Output& output) {
  if (!options.why.empty()) {
    const Json::Object result = run_here("gc", {{"why", options.why}}, invocation, output);
    output.done(result, holders_text(result));
    return kExitDone;
  }
  const Json::Object result = run_here(
      "gc", {{"dry_run", options.dry_run}, {"now", options.now}, {"force", invocation.force}},
      invocation, output);
  std::string text =
      fmt::format("kept       {}\n{}  {}\n", tally_text(result, "kept"),
                  options.dry_run ? "would go " : "condemned", tally_text(result, "condemned"));
  text += fmt::format("waiting    {}\n", tally_text(result, "waiting"));
  if (!options.dry_run) text += fmt::format("freed      {}\n", tally_text(result, "freed"));
  output.done(result, text);
  return kExitDone;
}

int run_remove(const std::string& name, const Invocation& invocation, Output& output) {
  const RepositorySource source = parse_repository_source(name);
  const Json::Object result = run_here(
      "remove", {{"repo", to_text(source.id)}, {"revision", source.revision}}, invocation, output);
  output.done(result, fmt::format("{}: {} revisions, {} refs removed; `holdfast gc` frees the room",
                                  display_name(result.find("repo")->as_string("repo")),
                                  result.find("revisions")->as_array("revisions").size(),
                                  result.find("refs")->as_array("refs").size()));
  return kExitDone;
}

int run_stats(const Invocation& invocation, Output& output) {
  const Json::Object result = run_here("stats", {}, invocation, output);
  const Json::Array& rows = result.find("repositories")->as_array("repositories");
  std::string text;
  for (const Json& value : rows) {
    const Json::Object& row = value.as_object("repositories");
    text +=
        fmt::format("{:>10}  {:>10} alone  {:>3} revisions  {}\n",
                    format_bytes(number(row, "bytes")), format_bytes(number(row, "own_bytes")),
                    number(row, "revisions"), display_name(row.find("repo")->as_string("repo")));
  }
  text += fmt::format("{:>10}  in {} objects; {} that no revision names\n",
                      format_bytes(number(result, "bytes")), number(result, "objects"),
                      format_bytes(number(result, "unreferenced_bytes")));
  output.done(result, text);
  return kExitDone;
}

}  // namespace

void add_fsck(CLI::App& app, Run& run) {
  CLI::App* fsck = app.add_subcommand("fsck", "Check that every object is there and right");
  auto full = std::make_shared<bool>(false);
  fsck->add_flag("--full", *full, "Read every byte and compare its hash");
  fsck->callback([&run, full] {
    run = [full](const Invocation& invocation, Output& output) {
      return run_fsck(*full, invocation, output);
    };
  });
}

void add_gc(CLI::App& app, Run& run) {
  CLI::App* gc = app.add_subcommand("gc", "Free the room of what nothing needs any more");
  auto options = std::make_shared<GcVerbOptions>();
  gc->add_flag("--dry-run", options->dry_run, "Only say what would go");
  gc->add_flag("--now", options->now, "Do not wait for the grace period of four days");
  gc->add_option("--why", options->why, "Say what keeps the object with this SHA-256");
  gc->callback([&run, options] {
    run = [options](const Invocation& invocation, Output& output) {
      return run_gc(*options, invocation, output);
    };
  });
}

void add_remove(CLI::App& app, Run& run) {
  CLI::App* remove = app.add_subcommand("remove", "Forget a repository or one revision of it");
  auto name = std::make_shared<std::string>();
  remove->add_option("REPO", *name, "owner/name[@revision]")->required();
  remove->callback([&run, name] {
    run = [name](const Invocation& invocation, Output& output) {
      return run_remove(*name, invocation, output);
    };
  });
}

void add_stats(CLI::App& app, Run& run) {
  CLI::App* stats = app.add_subcommand("stats", "What takes the room");
  stats->callback([&run] {
    run = [](const Invocation& invocation, Output& output) {
      return run_stats(invocation, output);
    };
  });
}

}  // namespace holdfast::ops
