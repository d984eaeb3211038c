#include "convert/sample.h"

#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ops/verbs/verbs.h"
#include "storage/base/error.h"

namespace holdfast::ops {
namespace {

int run_sample(const std::filesystem::path& directory, const Invocation& invocation,
               Output& output) {
  std::error_code ignored;
  if (!invocation.force && std::filesystem::exists(directory, ignored) &&
      !std::filesystem::is_empty(directory, ignored)) {
    fail(ErrorKind::Conflict,
         fmt::format("{}: is not empty; --force overwrites", directory.string()));
  }
  convert::write_sample(directory);
  Json::Array files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    files.emplace_back(entry.path().filename().string());
  }
  output.done({{"directory", directory.string()}, {"files", std::move(files)}},
              fmt::format("{}: a small Llama-shaped model", directory.string()));
  return kExitDone;
}

}  // namespace

void add_sample(CLI::App& app, Run& run) {
  CLI::App* sample =
      app.add_subcommand("sample", "Write a small valid model, always the same bytes");
  auto directory = std::make_shared<std::filesystem::path>();
  sample->add_option("DIR", *directory, "Folder to write")->required();
  sample->callback([&run, directory] {
    run = [directory](const Invocation& invocation, Output& output) {
      return run_sample(*directory, invocation, output);
    };
  });
}

}  // namespace holdfast::ops
