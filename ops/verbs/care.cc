// The verbs that look after a store: fsck, gc, remove, stats. Each is a job, so that a running
// server carries it out beside its other work.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ops/api_client.h"
#include "ops/job_verb.h"
#include "ops/repair.h"
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

std::string findings_text(const Json::Array& findings) {
  std::string text;
  for (const Json& finding : findings) {
    text += fmt::format("{}  {}  {}\n", finding.find("kind")->as_string("kind"),
                        finding.find("name")->as_string("name"),
                        finding.find("text")->as_string("text"));
  }
  return text;
}

// What was looked at, and with what result.
std::string fsck_text(const Json::Object& result) {
  const Json::Array& findings = result.find("findings")->as_array("findings");
  std::string text = findings_text(findings);
  text += fmt::format("{} objects, {}, {}: {}", number(result, "objects"),
                      format_bytes(number(result, "bytes")),
                      result.find("full")->as_bool("full") ? "every byte read" : "files and sizes",
                      findings.empty() ? "all well" : fmt::format("{} findings", findings.size()));
  if (const std::uint64_t extra = number(result, "extra_files"); extra > 0) {
    text += fmt::format("; {} files ({}) that no row names", extra,
                        format_bytes(number(result, "extra_bytes")));
  }
  return text;
}

// Carries out the syncs that the check asked for; each row says how its sync ended.
Json::Array run_repairs(const Json::Object& checked, ApiClient& client,
                        const Invocation& invocation, Output& output) {
  Json::Array repairs;
  for (const Json& row : checked.find("repairs")->as_array("repairs")) {
    Json::Object repair = row.as_object("repairs");
    try {
      run_job(client, repair_request(repair), output, invocation.stop);
      repair.set("error", nullptr);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::Cancelled) throw;
      repair.set("error", error.what());
    }
    repairs.emplace_back(std::move(repair));
  }
  return repairs;
}

std::string repairs_text(const Json::Object& result) {
  std::string text;
  for (const Json& row : result.find("repairs")->as_array("repairs")) {
    const Json* error = row.find("error");
    text += fmt::format(
        "{}@{}: {} objects asked of {}: {}\n", display_name(row.find("repo")->as_string("repo")),
        row.find("commit")->as_string("commit"), number(row.as_object("repairs"), "objects"),
        row.find("endpoint")->as_string("endpoint"),
        error == nullptr ? "done" : error->as_string("error"));
  }
  for (const Json& row : result.find("hopeless")->as_array("hopeless")) {
    text += fmt::format("hopeless  {}  {}\n", row.find("name")->as_string("name"),
                        row.find("text")->as_string("text"));
  }
  if (const std::uint64_t mended = number(result, "mended"); mended > 0) {
    text += fmt::format("{} rows put right\n", mended);
  }
  return text;
}

JobRequest fsck_request(bool full, bool repair) {
  Json::Object parameters{{"full", full}, {"repair", repair}};
  return {.kind = "fsck", .key = to_text(Json(parameters)), .parameters = std::move(parameters)};
}

struct FsckVerbOptions {
  bool full = false;
  bool repair = false;
};

int run_fsck(const FsckVerbOptions& options, const Invocation& invocation, Output& output) {
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  Json::Object result =
      run_job(*client, fsck_request(options.full, options.repair), output, invocation.stop);
  std::string text = fsck_text(result);
  bool well = result.find("findings")->as_array("findings").empty();
  if (options.repair && !well) {
    result.set("repairs", run_repairs(result, *client, invocation, output));
    // What a sync fetched was hashed on the way: sizes are enough to see that it is there.
    const Json::Object left = run_job(*client, fsck_request(false, false), output, invocation.stop);
    well = left.find("findings")->as_array("findings").empty();
    text += "\n" + repairs_text(result) + "after the repair: " + fsck_text(left);
    result.set("left", *left.find("findings"));
  }
  client->finish();
  output.done(result, text);
  return well ? kExitDone : kExitFinding;
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
  if (const std::uint64_t damaged = number(result, "damaged"); damaged > 0) {
    text += fmt::format("{} objects are damaged: `holdfast fsck --repair` fetches them again\n",
                        damaged);
  }
  const Json::Object& scrub = result.find("scrub")->as_object("scrub");
  if (const Json& completed = *scrub.find("completed"); !completed.is_null()) {
    text += fmt::format("last scrub complete at {}\n", completed.as_string("completed"));
  }
  output.done(result, text);
  return kExitDone;
}

}  // namespace

void add_fsck(CLI::App& app, Run& run) {
  CLI::App* fsck = app.add_subcommand("fsck", "Check that every object is there and right");
  auto options = std::make_shared<FsckVerbOptions>();
  fsck->add_flag("--full", options->full, "Read every byte and compare its hash");
  fsck->add_flag("--repair", options->repair, "Fetch what is damaged from upstream again");
  fsck->callback([&run, options] {
    run = [options](const Invocation& invocation, Output& output) {
      return run_fsck(*options, invocation, output);
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
