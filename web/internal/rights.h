// What a person holds on a repository, whatever token he brings: his role, what was given to him,
// and his own namespace. Pure.
#pragma once

#include "storage/access.h"
#include "storage/repo_id.h"

namespace holdfast::web {

storage::Right right_of(const storage::User& user, const storage::RepoId& repo);

}  // namespace holdfast::web
