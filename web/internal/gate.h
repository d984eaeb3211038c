// The one place that decides whether a request may have what its route serves: a table of routes
// with what each needs (gate.cc), and the answers to those who do not hold it. A repository that a
// caller may not see is answered as one that is not there.
//
// Thread-safe. Throws a Refusal, or what the catalog throws.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "storage/access.h"
#include "storage/catalog.h"
#include "web/access.h"
#include "web/internal/handlers.h"

namespace holdfast::web {

enum class Need {
  Nothing,     // open to everyone, always
  Browse,      // reading at all; the handler leaves out what the caller may not see
  Repository,  // seeing the repository that the URL names
  Files,       // and having passed its gate
  Change,      // writing to it
  Manage,      // deciding who sees the repository that the URL names
  SignIn,      // being known; the handler decides what of
  Watch,       // reading everything: what shows all repositories at once
  Operate,     // being an administrator
  Trust,       // being on the server itself: the Unix socket
};

struct RouteNeed {
  std::string_view route;  // its name
  Need need;
};

// One row for each name in the route table; a test looks after that.
std::span<const RouteNeed> route_needs() noexcept;

// Refuses what the caller may not have. A route without a row is Trust's.
void check_access(const Call& call);

// Refuses, as check_access() does, unless the caller holds `right` on the repository. For what the
// URL does not name. One that is not there is refused as one that may not be seen.
void check_right(const Call& call, const storage::RepoId& repo, storage::Right right);

// The repository that the URL names, whether it is there or not: git's URLs may end in ".git", a
// repository's name may not. Nothing for a name that no repository can have.
std::optional<storage::RepoId> named_repository(const Call& call);

// Who asks; nobody where there is no access control.
const Caller& caller_of(const Request& request) noexcept;

// For an answer that is known beforehand (hot_files.h): whether check_access() would let it out.
// `gated` as upstream reports it.
bool may_have_files(const Request& request, const Services& services, const storage::RepoId& repo,
                    std::string_view gated);

bool holds(const Call& call, const storage::RepoId& repo, storage::Right right);

// 401, with the challenge that makes git, registries and browsers ask their user; the hub's own
// clients look at the code.
[[noreturn]] void ask_to_sign_in(std::string_view code, std::string_view message);

// To who holds too little: 401 where he may sign in and has not, else 403 with the message.
[[noreturn]] void refuse_weak(const Call& call, std::string_view message);

// Whether the caller may know that the repository is there: for lists.
bool may_see(const Call& call, const storage::RepoId& repo);

// may_see() for who looks at many; empty where all may be seen. Borrows `call`.
std::function<bool(const storage::RepoId&)> seen_by(const Call& call);

// Whether the caller sees every repository.
bool may_watch(const Call& call);

// Whether the caller is an administrator.
bool may_operate(const Call& call);

bool is_private(const Call& call, const storage::RepoId& repo);

// The gate as the hub's API says it: "" where there is none, "auto", "manual".
std::string_view gate_text(const Call& call, const storage::RepositoryRecord& repository);

// The subject of an answer that hides a repository, for the audit trail.
inline constexpr std::string_view kHidden = "hidden";

// How the subject of an answer begins that did nothing of what was asked, whatever its status says:
// of a push git reads the report alone.
inline constexpr std::string_view kAllRefused = "refused ";

// Says that the repository is not there, to those who may not see it as to those who could: 401 for
// who could sign in and has not, 404 for everyone else (hub-protocol 6.2).
[[noreturn]] void refuse_absent(const Call& call, std::string_view subject = "");

}  // namespace holdfast::web
