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

void with_rules(const Call& call, const storage::RepoId& repo,
                const storage::RepositoryRules& rules, const std::function<void()>& step) {
  storage::AccessBook* book = call.services.store.access();
  const auto before = book == nullptr ? rules : book->rules(repo);
  if (rules == before) return step();
  book->put_rules(repo, rules);
  try {
    step();
  } catch (...) {
    book->put_rules(repo, before);
    throw;
  }
}

}  // namespace holdfast::web
