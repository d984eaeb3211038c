// backup and restore: a second copy of a store, and the way back.
#include "storage/backup.h"

#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ops/api_client.h"
#include "ops/job_verb.h"
#include "ops/verbs/verbs.h"

namespace holdfast::ops {
namespace {

std::uint64_t number(const Json::Object& row, std::string_view key) {
  return row.find(key)->as_uint(key);
}

// Ends with 1 when objects are damaged: then the copy lacks them.
int finish(const Json::Object& result, std::string text, Output& output) {
  const Json::Array& findings = result.find("findings")->as_array("findings");
  for (const Json& finding : findings) {
    text += fmt::format("\n{}  {}  {}", finding.find("kind")->as_string("kind"),
                        finding.find("name")->as_string("name"),
                        finding.find("text")->as_string("text"));
  }
  output.done(result, text);
  return findings.empty() ? kExitDone : kExitFinding;
}

struct BackupVerbOptions {
  std::string directory;
  bool copy = false;
};

int run_backup(const BackupVerbOptions& options, const Invocation& invocation, Output& output) {
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  // A server has a working directory of its own.
  const std::string directory = std::filesystem::absolute(options.directory).string();
  const Json::Object parameters{{"directory", directory}, {"copy", options.copy}};
  // A backup that may link is not what one with --copy joins.
  const Json::Object result = run_job(
      *client, {.kind = "backup", .key = to_text(Json(parameters)), .parameters = parameters},
      output, invocation.stop);
  client->finish();
  return finish(
      result,
      fmt::format("{}: {} objects, {}; new {} objects, {}, {} of them linked",
                  result.find("directory")->as_string("directory"), number(result, "objects"),
                  format_bytes(number(result, "bytes")), number(result, "new_objects"),
                  format_bytes(number(result, "new_bytes")), number(result, "linked")),
      output);
}

// Reports to the verb's own output: there is no job queue before there is a store.
class VerbContext final : public storage::JobContext {
 public:
  VerbContext(Output& output, std::stop_token stop) : output_(output), stop_(std::move(stop)) {}

  void report(const storage::Progress& progress) override { output_.progress(progress); }

  void log(std::string_view line) override { output_.note(line); }

  std::stop_token stop() const override { return stop_; }

 private:
  Output& output_;
  std::stop_token stop_;
};

int run_restore(const std::string& backup, const Invocation& invocation, Output& output) {
  const Config config = invocation.config();
  VerbContext context(output, invocation.stop);
  const Json::Object result = storage::restore(
      {.backup = backup, .directory = config.data, .force = invocation.force}, context);
  std::string text = fmt::format("{}: {} objects, {}, every byte read",
                                 result.find("directory")->as_string("directory"),
                                 number(result, "objects"), format_bytes(number(result, "bytes")));
  if (const Json& replaced = *result.find("replaced"); !replaced.is_null()) {
    text += fmt::format("; the store before lies in {}", replaced.as_string("replaced"));
  }
  return finish(result, std::move(text), output);
}

}  // namespace

void add_backup(CLI::App& app, Run& run) {
  CLI::App* backup = app.add_subcommand("backup", "Copy the store, or what changed since the last");
  auto options = std::make_shared<BackupVerbOptions>();
  backup->add_option("DIR", options->directory, "Where the copy lies")->required();
  backup->add_flag("--copy", options->copy, "Never link: share no disk block with the store");
  backup->callback([&run, options] {
    run = [options](const Invocation& invocation, Output& output) {
      return run_backup(*options, invocation, output);
    };
  });
}

void add_restore(CLI::App& app, Run& run) {
  CLI::App* restore = app.add_subcommand("restore", "Make a backup the store");
  auto directory = std::make_shared<std::string>();
  restore->add_option("DIR", *directory, "Where the backup lies")->required();
  restore->callback([&run, directory] {
    run = [directory](const Invocation& invocation, Output& output) {
      return run_restore(*directory, invocation, output);
    };
  });
}

}  // namespace holdfast::ops
