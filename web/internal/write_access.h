// Who may write, and where: the one place that decides it. Throws Refusal.
//
// A writer holds the right (gate.h). As long as there is neither a user nor a token, so is whoever
// comes over loopback, directly: not by a proxy, not as a page in a browser (whose requests name
// their Origin), and not under a host name that somebody else's DNS made point here. Writable are
// repositories of our own; what is mirrored changes only upstream.
#pragma once

#include "storage/catalog.h"
#include "web/internal/handlers.h"

namespace holdfast::web {

// 401 or 403 unless this request may change `repo`; 401 or 404, as one that may not be seen, when
// it is not there.
void check_may_write(const Call& call, const storage::RepoId& repo);

// 401 or 403 unless this request may make `repo`, whether it is there or not.
void check_may_create(const Call& call, const storage::RepoId& repo);

// The repository that the URL names (".git" behind it or not), which the request may change: 403 as
// above or when it is mirrored, 404 and 307 as find_repository.
storage::RepositoryRecord find_writable_repository(const Call& call);

// The same for one that the body names. 404 RepoNotFound.
storage::RepositoryRecord find_writable_repository(const Call& call, const storage::RepoId& repo);

}  // namespace holdfast::web
