// The verbs: each file of this folder parses its options, calls, prints. No logic.
#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <string_view>

#include "ops/config.h"
#include "ops/output.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's own name.
class App;
}

namespace holdfast::ops {

// What every verb gets: the common options and the request to stop (Ctrl-C, SIGTERM).
struct Invocation {
  ConfigFlags flags;
  bool json = false;
  bool force = false;
  Environment environment;
  std::stop_token stop;
  // Takes what SIGHUP shall do from now on; nothing: it ends the program as SIGTERM does.
  std::function<void(std::function<void()>)> on_hangup;

  Config config() const { return load_config(flags, environment); }
};

// Runs a parsed verb and returns the exit code.
using Run = std::function<int(const Invocation&, Output&)>;

// Adds a verb's subcommand to `app`; when the verb is parsed it sets `run`.
using AddVerb = void (*)(CLI::App& app, Run& run);

// All verbs, in the order of --help.
std::span<const AddVerb> verbs() noexcept;

void add_serve(CLI::App& app, Run& run);
void add_sync(CLI::App& app, Run& run);
void add_convert(CLI::App& app, Run& run);
void add_inspect(CLI::App& app, Run& run);
void add_list(CLI::App& app, Run& run);
void add_show(CLI::App& app, Run& run);
void add_remove(CLI::App& app, Run& run);
void add_stats(CLI::App& app, Run& run);
void add_fsck(CLI::App& app, Run& run);
void add_gc(CLI::App& app, Run& run);
void add_backup(CLI::App& app, Run& run);
void add_restore(CLI::App& app, Run& run);
void add_token(CLI::App& app, Run& run);
void add_user(CLI::App& app, Run& run);
void add_access(CLI::App& app, Run& run);
void add_quota(CLI::App& app, Run& run);
void add_jobs(CLI::App& app, Run& run);
void add_sample(CLI::App& app, Run& run);
void add_config(CLI::App& app, Run& run);

}  // namespace holdfast::ops
