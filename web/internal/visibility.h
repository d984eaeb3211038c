// Who may see a repository, as the hub's own routes for writing say it: "private", "visibility" and
// "gated", kept as rules of the access book. Thread-safe. Throws Refusal, or what the book throws.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "storage/access.h"
#include "storage/base/json.h"
#include "web/internal/handlers.h"

namespace holdfast::web {

// "private" (a flag) or "visibility" (public, private) of a request; nothing when it says neither.
// 403 for private where nobody could guard it: a store without an access book.
std::optional<bool> read_visibility(const Call& call, const Json& json);

// 403 unless the caller decides who may see the repository.
void check_may_decide(const Call& call, const storage::RepoId& repo);

// What is nothing stays as it is.
void set_visibility(const Call& call, const storage::RepoId& repo, std::optional<bool> is_private,
                    std::optional<storage::Gate> gate);

// What stands for a name from the moment on at which a repository gets it.
struct NameRules {
  storage::RepositoryRules rules;
  std::vector<storage::AccessRequest> requests;  // for it; none that another of the name was asked
};

// The rules and requests of one name as those of another.
NameRules rules_of_name(const Call& call, const storage::RepoId& from, const storage::RepoId& to);

// Runs `step`, which makes this repository, with its rules in force beforehand, so that nobody sees
// for a moment what he may not. When it throws, they are what they were: rules outlive a
// repository, and a request that failed changes nothing.
void with_rules(const Call& call, const storage::RepoId& repo, const NameRules& rules,
                const std::function<void()>& step);

}  // namespace holdfast::web
