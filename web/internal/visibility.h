// Who may see a repository, as the hub's own routes for writing say it: "private", "visibility" and
// "gated", kept as rules of the access book. Thread-safe. Throws Refusal, or what the book throws.
#pragma once

#include <optional>

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

// The rules of one repository become those of another.
void copy_visibility(const Call& call, const storage::RepoId& from, const storage::RepoId& to);

}  // namespace holdfast::web
