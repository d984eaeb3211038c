#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ops/api_client.h"
#include "ops/verbs/verbs.h"

namespace holdfast::ops {
namespace {

// All repositories whose full name contains `filter`, page by page.
Json::Array find_repositories(ApiClient& client, const std::string& filter) {
  Json::Array found;
  std::string after;
  do {
    const Json page =
        client.get("/-/api/v1/repositories?limit=1000&after=" + encode_component(after));
    for (const Json& repository : page.find("repositories")->as_array("repositories")) {
      if (repository.find("id")->as_string("id").find(filter) != std::string::npos) {
        found.push_back(repository);
      }
    }
    const Json* next = page.find("next");
    after = next == nullptr ? "" : next->as_string("next");
  } while (!after.empty());
  return found;
}

int run_list(const std::string& filter, const Invocation& invocation, Output& output) {
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  Json::Array repositories = find_repositories(*client, filter);
  std::size_t width = 0;
  for (const Json& row : repositories) {
    width = std::max(width, row.find("id")->as_string("id").size());
  }
  std::string text;
  for (const Json& row : repositories) {
    text += fmt::format("{:<{}}  {:<7}  {}  {}\n", row.find("id")->as_string("id"), width,
                        row.find("kind")->as_string("kind"),
                        row.find("updated_at")->as_string("updated_at").substr(0, 16),
                        row.find("origin")->as_string("origin"));
  }
  if (repositories.empty()) {
    output.note(filter.empty() ? "no repositories yet: holdfast sync owner/name"
                               : "nothing matches");
  }
  output.done({{"repositories", std::move(repositories)}}, text);
  return kExitDone;
}

}  // namespace

void add_list(CLI::App& app, Run& run) {
  CLI::App* list = app.add_subcommand("list", "Repositories that are here");
  auto filter = std::make_shared<std::string>();
  list->add_option("FILTER", *filter, "Part of the name");
  list->callback([&run, filter] {
    run = [filter](const Invocation& invocation, Output& output) {
      return run_list(*filter, invocation, output);
    };
  });
}

}  // namespace holdfast::ops
