// The composition root: reads the command line, builds what the verb needs, runs it.
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "ops/output.h"
#include "ops/signals.h"
#include "ops/verbs/verbs.h"
#include "ops/version.h"
#include "storage/base/error.h"

namespace {

using holdfast::Error;
using holdfast::ErrorKind;
namespace ops = holdfast::ops;

// logfmt on stderr: stdout belongs to the verb's data.
void set_up_log() {
  auto logger = spdlog::stderr_logger_mt("holdfast");
  logger->set_pattern("time=%Y-%m-%dT%H:%M:%S.%eZ level=%l part=%n %v",
                      spdlog::pattern_time_type::utc);
  spdlog::set_default_logger(std::move(logger));
  // A verb reports its own failure; only `serve` logs what happens in the background.
  spdlog::set_level(spdlog::level::err);
}

void add_common_options(CLI::App& app, ops::Invocation& invocation) {
  app.add_option("--data", invocation.flags.data, "Data directory (else HOLDFAST_DATA)");
  app.add_option("--config", invocation.flags.config, "Configuration file (else HOLDFAST_CONFIG)");
  app.add_flag("--json", invocation.json, "NDJSON events on stdout");
  app.add_flag("--force", invocation.force, "Overwrite what exists");
  app.set_version_flag("--version", fmt::format("holdfast {}", ops::kVersion));
}

int run_verb(const ops::Run& run, const ops::Invocation& invocation) {
  ops::Output output(invocation.json);
  try {
    return run(invocation, output);
  } catch (const Error& error) {
    output.error(error);
  } catch (const std::exception& error) {
    output.error(Error(ErrorKind::Io, fmt::format("unexpected: {}", error.what())));
  }
  return ops::kExitFailed;
}

}  // namespace

int main(int argc, char** argv) {
  const ops::Signals signals;
  set_up_log();
  ops::Invocation invocation;
  invocation.environment = ops::process_environment();
  invocation.stop = signals.stop();
  invocation.on_hangup = [&signals](std::function<void()> handler) {
    signals.on_hangup(std::move(handler));
  };
  ops::Run run;

  CLI::App app("Holdfast: the model hub behind the wall", "holdfast");
  app.require_subcommand(1);
  app.fallthrough();
  add_common_options(app, invocation);
  for (const ops::AddVerb add : ops::verbs()) add(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ops::kExitDone : ops::kExitUsage;
  }
  return run_verb(run, invocation);
}
