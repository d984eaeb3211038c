// A repository as git sees it. Thread-safe; throws as find_repository does.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "storage/catalog.h"
#include "web/internal/handlers.h"

namespace holdfast::web {

struct GitRef {
  std::string name;
  GitOid commit;  // the commit object that we hold
};

struct GitRepository {
  storage::RepositoryRecord record;
  std::string head;          // "refs/heads/main"
  std::vector<GitRef> refs;  // sorted by name
  std::set<GitOid> commits;  // of the visible revisions, with the past that was mirrored
};

// The repository that the URL names; git's URLs may end in ".git", a repository's name may not.
storage::RepositoryRecord find_git_repository(const Call& call);
GitRepository open_git_repository(const Call& call);

// The ref that a clone checks out; nullptr when it is not held.
const GitRef* head_of(const GitRepository& repository) noexcept;

}  // namespace holdfast::web
