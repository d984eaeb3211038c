#include "convert/inspect.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "convert/convert.h"
#include "ops/api_client.h"
#include "ops/verbs/repository.h"
#include "ops/verbs/verbs.h"

namespace holdfast::ops {
namespace {

Json::Object inspect_repository(const std::string& name, const Invocation& invocation) {
  const RepositorySource source = parse_repository_source(name);
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  const std::string revision = source.revision.empty() ? "HEAD" : source.revision;
  const Json answer =
      get_about(*client, source,
                fmt::format("/-/api/v1/facts/{}/{}", source.target(), encode_component(revision)));
  return convert::inspection_of_facts(name, answer.find("facts")->as_object("facts"));
}

int run_inspect(const std::string& source, const Invocation& invocation, Output& output) {
  const Json::Object inspection =
      convert::is_path(source) ? convert::inspect(source) : inspect_repository(source, invocation);
  output.done(inspection, convert::inspection_text(inspection));
  const Json::Array& files = inspection.find("files")->as_array("files");
  const bool broken =
      std::ranges::any_of(files, [](const Json& file) { return file.find("error") != nullptr; });
  return broken ? kExitFinding : kExitDone;
}

}  // namespace

void add_inspect(CLI::App& app, Run& run) {
  CLI::App* inspect = app.add_subcommand("inspect", "Tensors, types, shapes, metadata, card");
  auto source = std::make_shared<std::string>();
  inspect->add_option("SOURCE", *source, "owner/name[@revision], a model file or a folder")
      ->required();
  inspect->callback([&run, source] {
    run = [source](const Invocation& invocation, Output& output) {
      return run_inspect(*source, invocation, output);
    };
  });
}

}  // namespace holdfast::ops
