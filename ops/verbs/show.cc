#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ops/api_client.h"
#include "ops/verbs/repository.h"
#include "ops/verbs/verbs.h"

namespace holdfast::ops {
namespace {

std::string files_text(const Json::Array& files) {
  std::string text;
  for (const Json& file : files) {
    text += fmt::format("  {:>10}  {}{}\n", format_bytes(file.find("size")->as_uint("size")),
                        file.find("path")->as_string("path"),
                        file.find("sha256") == nullptr ? "  (not mirrored)" : "");
  }
  return text;
}

// What upstream did: a rewritten branch, another licence.
std::string events_text(const Json& repository) {
  const Json* events = repository.find("upstream_events");
  if (events == nullptr || events->as_array("upstream_events").empty()) return "";
  std::string text = "events\n";
  for (const Json& event : events->as_array("upstream_events")) {
    text += fmt::format("  {}  {}", event.find("time")->as_string("time").substr(0, 16),
                        event.find("kind")->as_string("kind"));
    for (const auto& [key, value] : event.find("details")->as_object("details")) {
      text += fmt::format("  {}={}", key, to_text(value));
    }
    text += "\n";
  }
  return text;
}

std::string to_page(const Json& repository) {
  const auto text_of = [&repository](std::string_view key) {
    const Json* value = repository.find(key);
    return value == nullptr ? std::string("-") : value->as_string(key);
  };
  std::string page = fmt::format("{}  ({})\norigin   {}\nupdated  {}\nrefs\n", text_of("id"),
                                 text_of("kind"), text_of("origin"), text_of("updated_at"));
  for (const Json& ref : repository.find("refs")->as_array("refs")) {
    page += fmt::format("  {}  {}\n", ref.find("commit")->as_string("commit"),
                        ref.find("name")->as_string("name"));
  }
  page += "revisions\n";
  for (const Json& revision : repository.find("revisions")->as_array("revisions")) {
    page += fmt::format("  {}  {}  {}\n", revision.find("commit")->as_string("commit"),
                        revision.find("time")->as_string("time").substr(0, 16),
                        revision.find("title")->as_string("title"));
  }
  return page + events_text(repository) + "files\n" +
         files_text(repository.find("files")->as_array("files"));
}

int run_show(const std::string& name, const Invocation& invocation, Output& output) {
  const RepositorySource source = parse_repository_source(name);
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  const Json repository = get_about(*client, source, "/-/api/v1/repositories/" + source.target());
  output.done(repository.as_object(), to_page(repository));
  return kExitDone;
}

}  // namespace

void add_show(CLI::App& app, Run& run) {
  CLI::App* show = app.add_subcommand("show", "One repository: refs, revisions, files");
  auto name = std::make_shared<std::string>();
  show->add_option("REPO", *name, "owner/name or dataset/owner/name")->required();
  show->callback([&run, name] {
    run = [name](const Invocation& invocation, Output& output) {
      return run_show(*name, invocation, output);
    };
  });
}

}  // namespace holdfast::ops
