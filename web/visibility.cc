#include "web/internal/visibility.h"

#include "web/access.h"
#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/request_json.h"

namespace holdfast::web {

std::optional<bool> read_visibility(const Call& call, const Json& json) {
  std::optional<bool> is_private;
  if (json.find("private") != nullptr) is_private = flag_member(json, "private");
  const std::string visibility = text_member(json, "visibility");
  if (!visibility.empty() && visibility != "public" && visibility != "private") {
    refuse(400, "", "visibility: expected public or private, found \"" + visibility + "\"");
  }
  if (!visibility.empty()) is_private = visibility == "private";
  if (is_private.value_or(false) && call.services.store.access() == nullptr) {
    refuse(403, "", "Private repositories are not kept here");
  }
  return is_private;
}

void check_may_decide(const Call& call, const storage::RepoId& repo) {
  const Access* access = call.services.access;
  if (access == nullptr || access->is_unguarded()) return;
  check_right(call, repo, storage::Right::Admin);
}

void set_visibility(const Call& call, const storage::RepoId& repo, std::optional<bool> is_private,
                    std::optional<storage::Gate> gate) {
  storage::AccessBook* book = call.services.store.access();
  if (book == nullptr) {
    if (gate) refuse(403, "", "Access requests are not kept here");
    return;
  }
  storage::RepositoryRules rules = book->rules(repo);
  if (is_private) rules.is_private = *is_private;
  if (gate) rules.gate = gate;
  if (!(rules == book->rules(repo))) book->put_rules(repo, rules);
}

NameRules rules_of_name(const Call& call, const storage::RepoId& from, const storage::RepoId& to) {
  const storage::AccessBook* book = call.services.store.access();
  if (book == nullptr) return {};
  NameRules found{.rules = book->rules(from), .requests = book->requests(from)};
  for (storage::AccessRequest& request : found.requests) request.repo = to;
  return found;
}

void with_rules(const Call& call, const storage::RepoId& repo, const NameRules& rules,
                const std::function<void()>& step) {
  storage::AccessBook* book = call.services.store.access();
  if (book == nullptr) return step();
  const NameRules before = rules_of_name(call, repo, repo);
  const auto put = [&](const NameRules& wanted, const NameRules& present) {
    if (!(wanted.rules == present.rules)) book->put_rules(repo, wanted.rules);
    book->replace_requests(repo, wanted.requests);
  };
  try {
    put(rules, before);
    step();
  } catch (...) {
    put(before, rules);
    throw;
  }
}

}  // namespace holdfast::web
