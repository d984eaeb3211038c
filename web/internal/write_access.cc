#include "web/internal/write_access.h"

#include <algorithm>
#include <array>

#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/git_repository.h"

namespace holdfast::web {
namespace {

constexpr std::array<std::string_view, 5> kProxyHeaders{"X-Forwarded-For", "X-Forwarded-Host",
                                                        "X-Real-IP", "Forwarded", "Via"};

bool is_local_host(std::string_view host) noexcept {
  const auto port = host.ends_with(']') ? std::string_view::npos : host.rfind(':');
  const std::string_view name = host.substr(0, port);
  // Digits and dots alone are an address: a name such as "127.example.org" may point anywhere.
  return name == "localhost" || name == "[::1]" ||
         (name.starts_with("127.") && name.find_first_not_of("0123456789.") == name.npos);
}

bool comes_directly(const Request& request) noexcept {
  const bool by_proxy = std::ranges::any_of(
      kProxyHeaders, [&](std::string_view name) { return !request.header(name).empty(); });
  return request.loopback && !by_proxy && request.header("Origin").empty() &&
         is_local_host(request.header("Host"));
}

// As long as nobody can sign in, who comes directly may write, and nobody else.
bool is_unguarded(const Call& call) {
  const Access* access = call.services.access;
  if (call.request.trusted || (access != nullptr && !access->is_unguarded())) return false;
  if (comes_directly(call.request)) return true;
  refuse(403, "",
         "As long as there is no token, writing is open only to clients on this machine that come "
         "directly, by 127.0.0.1 or the Unix socket");
}

// The origin of what is mirrored is an upstream's URL.
void check_origin(const storage::RepositoryRecord& record) {
  if (record.origin.find("://") == std::string::npos) return;
  refuse(403, "",
         record.id.full_name() + " is mirrored from " + record.origin +
             " and changes only there; write to a repository of your own instead");
}

}  // namespace

void check_may_write(const Call& call, const storage::RepoId& repo) {
  if (!is_unguarded(call)) check_right(call, repo, storage::Right::Write);
}

void check_may_create(const Call& call, const storage::RepoId& repo) {
  if (is_unguarded(call) || holds(call, repo, storage::Right::Write)) return;
  refuse_weak(call, "This needs the right to write to repositories such as " + repo.full_name());
}

storage::RepositoryRecord find_writable_repository(const Call& call) {
  const auto record = find_git_repository(call);
  check_may_write(call, record.id);
  check_origin(record);
  return record;
}

storage::RepositoryRecord find_writable_repository(const Call& call, const storage::RepoId& repo) {
  check_may_write(call, repo);
  auto record = call.services.store.catalog().find_repository(repo);
  if (!record) refuse(404, "RepoNotFound", "Repository not found");
  check_origin(*record);
  return *std::move(record);
}

}  // namespace holdfast::web
