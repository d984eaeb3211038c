#include "web/audit_log.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/json.h"
#include "web/access.h"
#include "web/internal/gate.h"
#include "web/internal/log.h"
#include "web/oidc.h"
#include "web/routes.h"

namespace holdfast::web {
namespace {

constexpr unsigned kMode = 0640;
constexpr std::size_t kTextMax = 512;  // of what a client named

// What an answered route means to an auditor.
struct Action {
  std::string_view route;
  std::string_view action;
  AuditLevel level;
};

constexpr std::array kActions{
    Action{"resolve", "file.read", AuditLevel::Reads},
    Action{"raw", "file.read", AuditLevel::Reads},
    Action{"blob-page", "file.read", AuditLevel::Reads},
    Action{"lfs-object", "file.read", AuditLevel::Reads},
    Action{"oci-blob", "file.read", AuditLevel::Reads},
    Action{"oci-manifest", "file.read", AuditLevel::Reads},
    Action{"git-upload-pack", "git.fetch", AuditLevel::Reads},
    Action{"sign-in", "session.start", AuditLevel::Changes},
    Action{"sign-out", "session.end", AuditLevel::Changes},
    Action{"token-create", "token.create", AuditLevel::Changes},
    Action{"token-revoke", "token.revoke", AuditLevel::Changes},
    Action{"user-set", "user.set", AuditLevel::Changes},
    Action{"user-remove", "user.remove", AuditLevel::Changes},
    Action{"rules-set", "repository.rules", AuditLevel::Changes},
    Action{"ask-access", "access.ask", AuditLevel::Changes},
    Action{"access-decision", "access.decide", AuditLevel::Changes},
    Action{"enqueue", "job.enqueue", AuditLevel::Changes},
    Action{"webhook", "job.enqueue", AuditLevel::Changes},
    Action{"job-cancel", "job.cancel", AuditLevel::Changes},
    Action{"job-retry", "job.retry", AuditLevel::Changes},
    Action{"repo-create", "repository.create", AuditLevel::Changes},
    Action{"repo-delete", "repository.delete", AuditLevel::Changes},
    Action{"repo-move", "repository.move", AuditLevel::Changes},
    Action{"settings", "repository.rules", AuditLevel::Changes},
    Action{"commit", "repository.commit", AuditLevel::Changes},
    Action{"squash", "repository.commit", AuditLevel::Changes},
    Action{"git-receive-pack", "repository.push", AuditLevel::Changes},
    Action{"branch-create", "repository.refs", AuditLevel::Changes},
    Action{"branch-delete", "repository.refs", AuditLevel::Changes},
    Action{"tag-create", "repository.refs", AuditLevel::Changes},
    Action{"tag-delete", "repository.refs", AuditLevel::Changes},
    Action{"lfs-put", "object.upload", AuditLevel::Changes},
    Action{"lfs-complete", "object.upload", AuditLevel::Changes},
};

// "denied" is what rights decided, "failed" anything else that went wrong.
std::string_view outcome_of(const Response& response) noexcept {
  if (response.status < 400) return response.subject.starts_with(kAllRefused) ? "failed" : "ok";
  const bool denied = response.status == 401 || response.status == 403 || response.status == 429 ||
                      response.subject == kHidden;
  return denied ? "denied" : "failed";
}

// git and browsers ask without a token first, and bring one when they are told to: that is no
// attempt at anything.
bool is_challenge(const Request& request, const Response& response) noexcept {
  return response.status == 401 && request.header("Authorization").empty();
}

// Whether the id is the client's own word, and another request may have it, too.
bool is_given_id(const Request& request) noexcept {
  return !request.trusted && !request.forwarded && !request.id.empty() &&
         request.header("X-Request-Id") == request.id;
}

// A line must end up whole in the file, and its text as JSON whatever a client sent.
Json text_or_null(std::string_view text) {
  return text.empty() ? Json() : Json(text.substr(0, kTextMax));
}

UniqueFd open_log(const std::filesystem::path& path) {
  return open_file(path, O_WRONLY | O_CREAT | O_APPEND, kMode);
}

std::string line_of(const Request& request, const Response& response, std::string_view action,
                    Time now) {
  const Caller& caller = caller_of(request);
  const auto found = match(request.method, request.target);
  const bool named = found && !found->repo.empty();
  const std::string repo =
      named ? std::string(storage::to_text(found->kind)) + "/" + found->repo : "";
  const Json::Object line{
      {"version", 1},
      {"time", to_text(now)},
      {"request", request.id},
      {"request_given", is_given_id(request)},
      {"action", action},
      {"outcome", outcome_of(response)},
      {"status", response.status},
      {"who", request.trusted ? std::string("operator") : caller.who()},
      {"token", caller.token == nullptr ? Json() : Json(caller.token->id())},
      {"issuer", caller.identity == nullptr ? Json() : Json(caller.identity->issuer)},
      {"issuer_subject",
       caller.identity == nullptr ? Json() : text_or_null(caller.identity->subject)},
      {"wrong_token", caller.wrong_token || caller.wait.count() > 0},
      {"address", text_or_null(request.client)},
      {"repository", text_or_null(repo)},
      {"revision", found ? text_or_null(found->revision) : Json()},
      {"path", found ? text_or_null(found->path) : Json()},
      {"commit", text_or_null(response.header("X-Repo-Commit"))},
      {"subject", text_or_null(response.subject)},
  };
  return to_text(Json(line)) + "\n";
}

}  // namespace

AuditLog::AuditLog(std::filesystem::path path, AuditLevel level, const Clock& clock)
    : path_(std::move(path)), level_(level), clock_(clock), file_(File{.fd = open_log(path_)}) {}

// A disk that fills up takes a part of a line: the next one that it takes does not go on with it.
void AuditLog::write_line(File& file, const std::string& line, const std::string& path) {
  const std::string text = file.is_cut ? "\n" + line : line;
  const ssize_t written = ::write(file.fd.get(), text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) {
    file.is_cut = false;
    return;
  }
  const int error = written < 0 ? errno : ENOSPC;
  if (written > 0) file.is_cut = true;
  fail_errno("write", path, error);
}

void AuditLog::add(const Request& request, const Response& response) noexcept {
  const auto* row = std::ranges::find(kActions, response.route, &Action::route);
  const bool known = row != kActions.end();
  const bool denied = outcome_of(response) == "denied" && !is_challenge(request, response);
  const bool told = known && (row->level == AuditLevel::Changes || level_ == AuditLevel::Reads);
  if (!told && !denied) return;
  try {
    const std::string line =
        line_of(request, response, known ? row->action : response.route, clock_.now());
    // The lock is held across the write on purpose: lines then stand in the order of their times.
    auto file = file_.lock();
    write_line(*file, line, path_.string());
  } catch (const std::exception& error) {
    log()->error("audit_failed id={} error={:?}", request.id, std::string_view(error.what()));
  }
}

void AuditLog::reopen() {
  File fresh{.fd = open_log(path_)};
  *file_.lock() = std::move(fresh);
}

}  // namespace holdfast::web
