// Who gets in: tokens, users, and who sees which repository.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "ops/api_client.h"
#include "ops/verbs/repository.h"
#include "ops/verbs/verbs.h"
#include "storage/base/error.h"

namespace holdfast::ops {
namespace {

constexpr const char* kTokens = "/-/api/v1/tokens";
constexpr const char* kUsers = "/-/api/v1/users";

struct TokenOptions {
  std::string name, user, scope = "read";
  std::vector<std::string> repos;
  unsigned expires_days = 0;  // 0: never
};

struct UserOptions {
  std::string name, role = "none";
  std::vector<std::string> grants;  // "GLOB=RIGHT"
};

struct AccessOptions {
  std::string repo, gate;
  bool make_private = false, make_public = false;
  std::vector<std::string> accept, reject;
};

Json::Array to_array(const std::vector<std::string>& values) {
  Json::Array array;
  for (const std::string& value : values) array.emplace_back(value);
  return array;
}

// A member as people read it: "-" where it is null.
std::string shown(const Json& row, std::string_view key) {
  const Json* value = row.find(key);
  if (value == nullptr) return "-";
  if (value->is_string()) return value->as_string();
  if (!value->is_array()) return to_text(*value);
  std::string all;
  for (const Json& item : value->as_array()) {
    if (!all.empty()) all += ",";
    all += item.is_string()
               ? item.as_string()
               : item.find("repo")->as_string() + "=" + item.find("right")->as_string();
  }
  return all.empty() ? "-" : all;
}

std::string table(const Json& rows, std::initializer_list<std::string_view> keys) {
  std::string text;
  for (const Json& row : rows.as_array()) {
    for (const std::string_view key : keys) text += fmt::format("{:<20}  ", shown(row, key));
    while (text.ends_with(' ')) text.pop_back();
    text += "\n";
  }
  return text;
}

int create_token(const TokenOptions& options, const Invocation& invocation, Output& output) {
  Json::Object body{
      {"name", options.name}, {"scope", options.scope}, {"repos", to_array(options.repos)}};
  if (!options.user.empty()) body.set("user", options.user);
  if (options.expires_days != 0) body.set("expires_days", options.expires_days);
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Create);
  const Json token = client->call("POST", kTokens, body);
  output.done(token.as_object(), token.find("token")->as_string("token") + "\n");
  return kExitDone;
}

int list_tokens(const Invocation& invocation, Output& output) {
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  const Json all = client->get(kTokens);
  output.done(all.as_object(), table(*all.find("tokens"), {"name", "id", "user", "scope", "repos",
                                                           "expires_at", "last_used_at"}));
  return kExitDone;
}

int set_user(const UserOptions& options, const Invocation& invocation, Output& output) {
  Json::Array grants;
  for (const std::string& grant : options.grants) {
    const auto equals = grant.rfind('=');
    if (equals == std::string::npos) {
      fail(ErrorKind::Invalid, fmt::format("--grant: expected GLOB=RIGHT, found \"{}\"", grant));
    }
    grants.emplace_back(
        Json::Object{{"repo", grant.substr(0, equals)}, {"right", grant.substr(equals + 1)}});
  }
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Create);
  const Json user = client->call(
      "POST", kUsers,
      Json::Object{{"name", options.name}, {"role", options.role}, {"grants", std::move(grants)}});
  output.done(user.as_object(), table(Json::Array{user}, {"name", "role", "grants"}));
  return kExitDone;
}

int list_users(const Invocation& invocation, Output& output) {
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  const Json all = client->get(kUsers);
  output.done(all.as_object(), table(*all.find("users"), {"name", "role", "grants"}));
  return kExitDone;
}

// Takes a name away from one of the two lists.
int forget(const char* where, const std::string& name, const Invocation& invocation,
           Output& output) {
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  const Json gone = client->call("POST", where, Json::Object{{"name", name}});
  output.done(gone.as_object(), "");
  return kExitDone;
}

std::string to_page(const Json& rules) {
  return fmt::format("{}  ({})\nprivate        {}\ngate           {}\nupstream gate  {}\n{}",
                     shown(rules, "id"), shown(rules, "kind"), shown(rules, "private"),
                     shown(rules, "gate"), shown(rules, "upstream_gate"),
                     table(*rules.find("requests"), {"who", "standing", "asked_at", "decided_by"}));
}

int run_access(const AccessOptions& options, const Invocation& invocation, Output& output) {
  const RepositorySource source = parse_repository_source(options.repo);
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  const std::string target = "/-/api/v1/access/" + source.target();
  Json::Object change;
  if (options.make_private || options.make_public) change.set("private", options.make_private);
  if (!options.gate.empty()) change.set("gate", options.gate);
  Json::Array decide;
  for (const auto& who : options.accept) {
    decide.emplace_back(Json::Object{{"who", who}, {"standing", "accepted"}});
  }
  for (const auto& who : options.reject) {
    decide.emplace_back(Json::Object{{"who", who}, {"standing", "rejected"}});
  }
  if (!decide.empty()) change.set("decide", std::move(decide));
  const Json rules = change.empty() ? get_about(*client, source, target)
                                    : client->call("POST", target, std::move(change));
  output.done(rules.as_object(), to_page(rules));
  return kExitDone;
}

void add_token_create(CLI::App& token, Run& run) {
  CLI::App* create = token.add_subcommand("create", "Make a token and print it, this once");
  auto options = std::make_shared<TokenOptions>();
  create->add_option("NAME", options->name, "Name for lists and logs")->required();
  create->add_option("--user", options->user, "Whose token; default: nobody's, for a service");
  create->add_option("--scope", options->scope, "read, write or admin (default read)");
  create->add_option("--repo", options->repos, "Only repositories that match, such as 'org/*'");
  create->add_option("--expires", options->expires_days, "Days until it ends (default: never)");
  create->callback([&run, options] {
    run = [options](const Invocation& invocation, Output& output) {
      return create_token(*options, invocation, output);
    };
  });
}

void add_user_set(CLI::App& user, Run& run) {
  CLI::App* set = user.add_subcommand("set", "Make a user, or replace role and grants of one");
  auto options = std::make_shared<UserOptions>();
  set->add_option("NAME", options->name, "Name, and the namespace that is the user's own")
      ->required();
  set->add_option("--role", options->role,
                  "Right on everything: none, read, write or admin (default none)");
  set->add_option("--grant", options->grants, "GLOB=RIGHT, such as 'org/*=write'");
  set->callback([&run, options] {
    run = [options](const Invocation& invocation, Output& output) {
      return set_user(*options, invocation, output);
    };
  });
}

void add_listing(CLI::App& parent, Run& run, const char* about,
                 int (*list)(const Invocation&, Output&)) {
  parent.add_subcommand("list", about)->callback([&run, list] { run = list; });
}

void add_forget(CLI::App& parent, Run& run, const char* verb, const char* about,
                const char* where) {
  CLI::App* verb_app = parent.add_subcommand(verb, about);
  auto name = std::make_shared<std::string>();
  verb_app->add_option("NAME", *name, "Its name")->required();
  verb_app->callback([&run, name, where] {
    run = [name, where](const Invocation& invocation, Output& output) {
      return forget(where, *name, invocation, output);
    };
  });
}

// "12", or "12 of 500".
std::string used(const Json& quota, std::string_view key, std::string_view most) {
  const Json* bound = quota.find(most);
  const std::string now = to_text(*quota.find(key));
  return bound == nullptr ? now : now + " of " + to_text(*bound);
}

int show_quota(const std::string& owner, const Invocation& invocation, Output& output) {
  const auto client = open_client(invocation.config(), invocation.environment, StoreUse::Read);
  const Json quota = client->get("/-/api/v1/quotas/" + encode_component(owner));
  output.done(quota.as_object(),
              fmt::format("{}\nbytes         {}\non their way  {}\nrepositories  {}\n", owner,
                          used(quota, "bytes", "bytes_max"), shown(quota, "coming_bytes"),
                          used(quota, "repositories", "repositories_max")));
  return kExitDone;
}

}  // namespace

void add_quota(CLI::App& app, Run& run) {
  CLI::App* quota = app.add_subcommand("quota", "What an owner may keep, and what he has");
  auto owner = std::make_shared<std::string>();
  quota->add_option("OWNER", *owner, "The first part of his repositories' names")->required();
  quota->callback([&run, owner] {
    run = [owner](const Invocation& invocation, Output& output) {
      return show_quota(*owner, invocation, output);
    };
  });
}

void add_token(CLI::App& app, Run& run) {
  CLI::App* token = app.add_subcommand("token", "Tokens: what lets clients in");
  token->require_subcommand(1);
  add_token_create(*token, run);
  add_listing(*token, run, "Tokens, without their text", list_tokens);
  add_forget(*token, run, "revoke", "End a token at once", "/-/api/v1/tokens/revoke");
}

void add_user(CLI::App& app, Run& run) {
  CLI::App* user = app.add_subcommand("user", "Users, their roles and rights");
  user->require_subcommand(1);
  add_user_set(*user, run);
  add_listing(*user, run, "Users with what they may do", list_users);
  add_forget(*user, run, "remove", "Forget a user, with all tokens", "/-/api/v1/users/remove");
}

void add_access(CLI::App& app, Run& run) {
  CLI::App* access = app.add_subcommand("access", "Who sees a repository and has its files");
  auto options = std::make_shared<AccessOptions>();
  access->add_option("REPO", options->repo, "owner/name or dataset/owner/name")->required();
  auto* make_private = access->add_flag("--private", options->make_private,
                                        "Only those with a right on it know that it is there");
  access->add_flag("--public", options->make_public, "Everyone who may read sees it")
      ->excludes(make_private);
  access->add_option("--gate", options->gate, "open, auto, manual or upstream");
  access->add_option("--accept", options->accept, "Let a user, or token:NAME, pass the gate");
  access->add_option("--reject", options->reject, "Do not");
  access->callback([&run, options] {
    run = [options](const Invocation& invocation, Output& output) {
      return run_access(*options, invocation, output);
    };
  });
}

}  // namespace holdfast::ops
