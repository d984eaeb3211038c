#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ops/verbs/verbs.h"

namespace holdfast::ops {

void add_config(CLI::App& app, Run& run) {
  CLI::App* config = app.add_subcommand("config", "The effective configuration");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand("check", "Check the configuration file");
  auto print = std::make_shared<bool>(false);
  check->add_flag("--print", *print, "Print the effective values as TOML");
  check->callback([&run, print] {
    run = [print](const Invocation& invocation, Output& output) {
      const Config effective = invocation.config();
      const std::string source = effective.source.empty() ? "defaults" : effective.source.string();
      Json::Object result{{"source", source}, {"data", effective.data.string()}};
      if (*print) result.set("toml", to_text(effective));
      output.done(result, *print ? to_text(effective) : fmt::format("{}: valid", source));
      return static_cast<int>(kExitDone);
    };
  });
}

}  // namespace holdfast::ops
