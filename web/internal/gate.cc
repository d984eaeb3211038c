#include "web/internal/gate.h"

#include <algorithm>
#include <array>

#include "web/internal/answers.h"
#include "web/internal/forms.h"
#include "web/internal/git_repository.h"
#include "web/internal/write_access.h"

namespace holdfast::web {
namespace {

using storage::RepoId;
using storage::Right;

constexpr std::array kNeeds{
    RouteNeed{"resolve", Need::Files},
    RouteNeed{"info", Need::Repository},
    RouteNeed{"tree", Need::Repository},
    RouteNeed{"paths-info", Need::Repository},
    RouteNeed{"refs", Need::Repository},
    RouteNeed{"commits", Need::Repository},
    RouteNeed{"compare", Need::Files},
    RouteNeed{"treesize", Need::Repository},
    RouteNeed{"whoami", Need::Nothing},
    RouteNeed{"agent-harnesses", Need::Nothing},
    RouteNeed{"telemetry", Need::Nothing},
    RouteNeed{"list", Need::Browse},
    RouteNeed{"auth-check", Need::Files},
    RouteNeed{"auth-check-write", Need::Change},
    RouteNeed{"discussions", Need::Repository},
    RouteNeed{"tags", Need::Browse},
    RouteNeed{"empty", Need::Nothing},
    RouteNeed{"unknown-api", Need::Nothing},
    RouteNeed{"access-requests", Need::Manage},
    RouteNeed{"access-decision", Need::Manage},
    RouteNeed{"ask-access", Need::Repository},
    RouteNeed{"repo-create", Need::Browse},  // check_may_create(): the body names it
    RouteNeed{"repo-delete", Need::Browse},  // check_may_write(): the body names it
    RouteNeed{"preupload", Need::Change},
    RouteNeed{"commit", Need::Change},
    RouteNeed{"xet-write-token", Need::Nothing},
    RouteNeed{"xet-read-token", Need::Files},
    RouteNeed{"xet-reconstruction", Need::Nothing},  // it wants the token that we gave
    RouteNeed{"xet-xorb", Need::Nothing},            // the address is signed
    RouteNeed{"branch-create", Need::Change},
    RouteNeed{"branch-delete", Need::Change},
    RouteNeed{"tag-create", Need::Change},
    RouteNeed{"tag-delete", Need::Change},
    RouteNeed{"squash", Need::Change},
    RouteNeed{"settings", Need::Change},  // and check_may_decide()
    RouteNeed{"lfs-files", Need::Repository},
    RouteNeed{"repo-move", Need::Browse},  // check_may_decide(), check_may_create()
    RouteNeed{"validate-yaml", Need::Browse},

    RouteNeed{"healthz", Need::Nothing},
    RouteNeed{"readyz", Need::Nothing},
    RouteNeed{"metrics", Need::Watch},
    RouteNeed{"own-repositories", Need::Browse},
    RouteNeed{"own-repository", Need::Repository},
    RouteNeed{"evidence", Need::Repository},
    RouteNeed{"facts", Need::Files},
    RouteNeed{"holes", Need::Watch},
    RouteNeed{"mirrors", Need::Watch},
    RouteNeed{"webhook", Need::Nothing},  // it has a secret of its own
    RouteNeed{"jobs", Need::Watch},
    RouteNeed{"enqueue", Need::Trust},  // a job may name any path of the server
    RouteNeed{"job", Need::Watch},
    RouteNeed{"job-log", Need::Watch},
    RouteNeed{"job-cancel", Need::Operate},
    RouteNeed{"job-retry", Need::Operate},
    RouteNeed{"tokens", Need::SignIn},
    RouteNeed{"token-create", Need::SignIn},
    RouteNeed{"token-revoke", Need::SignIn},
    RouteNeed{"users", Need::Operate},
    RouteNeed{"user-set", Need::Operate},
    RouteNeed{"user-remove", Need::Operate},
    RouteNeed{"quota", Need::Browse},  // and writing there
    RouteNeed{"rules", Need::Manage},
    RouteNeed{"rules-set", Need::Manage},
    RouteNeed{"mirrors-page", Need::Watch},
    RouteNeed{"jobs-page", Need::Watch},
    RouteNeed{"job-page", Need::Watch},
    RouteNeed{"access-page", Need::Manage},
    RouteNeed{"sign-in-page", Need::Nothing},
    RouteNeed{"sign-in", Need::Nothing},
    RouteNeed{"sign-out", Need::Nothing},
    RouteNeed{"tokens-page", Need::SignIn},
    RouteNeed{"static", Need::Nothing},

    RouteNeed{"git-refs", Need::Files},
    RouteNeed{"git-upload-pack", Need::Files},
    RouteNeed{"git-receive-pack", Need::Change},
    RouteNeed{"lfs-batch", Need::Files},
    RouteNeed{"lfs-object", Need::Files},

    RouteNeed{"lfs-put", Need::Nothing},       // the address is signed
    RouteNeed{"lfs-complete", Need::Nothing},  // the address is signed
    RouteNeed{"lfs-verify", Need::Change},

    RouteNeed{"oci", Need::Nothing},        // it says how to sign in
    RouteNeed{"oci-token", Need::Nothing},  // to nobody, nobody's
    RouteNeed{"oci-manifest", Need::Files},
    RouteNeed{"oci-tags", Need::Repository},
    RouteNeed{"oci-blob", Need::Files},

    RouteNeed{"catalog-page", Need::Browse},
    RouteNeed{"raw", Need::Files},
    RouteNeed{"tree-page", Need::Repository},
    RouteNeed{"blob-page", Need::Files},
    RouteNeed{"model-page", Need::Repository},
};

constexpr std::string_view kAbsent = "Repository not found";
constexpr std::string_view kWrongToken = "Invalid credentials in Authorization header";

Response challenge(std::string_view code, std::string_view message) {
  Response response = error_response(401, code, message);
  response.set("WWW-Authenticate", R"(Basic realm="Holdfast", charset="UTF-8")");
  return response;
}

Right right_on(const Call& call, const RepoId& repo) {
  const Caller& caller = caller_of(call.request);
  if (caller.trusted || call.request.trusted) return Right::Admin;
  return call.services.access == nullptr ? Right::Read
                                         : call.services.access->right_on(caller, repo);
}

Right right_on_server(const Call& call) {
  const Caller& caller = caller_of(call.request);
  if (caller.trusted || call.request.trusted) return Right::Admin;
  return call.services.access == nullptr ? Right::Read
                                         : call.services.access->right_on_server(caller);
}

bool sees_all(const Call& call) {
  const Access* access = call.services.access;
  return access == nullptr || call.request.trusted || access->shows_all();
}

[[noreturn]] void refuse_hidden(const Call& call, const RepoId& repo) {
  refuse_absent(call, call.services.store.catalog().find_repository(repo) ? kHidden : "");
}

// What is not there is refused here, as what may not be seen: a handler that looked at something
// else first would tell the one from the other. Nothing for a name that no repository can have,
// which is the handler's to refuse.
std::optional<storage::RepositoryRecord> find_visible(const Call& call) {
  const auto repo = named_repository(call);
  if (!repo) return std::nullopt;
  if (right_on(call, *repo) < Right::Read) refuse_hidden(call, *repo);
  return find_git_repository(call);
}

void check_repository(const Call& call) { find_visible(call); }

void check_files(const Call& call) {
  const auto record = find_visible(call);
  const Access* access = call.services.access;
  if (access == nullptr || !record) return;
  const RepoId& repo = record->id;
  const Caller& caller = caller_of(call.request);
  if (access->passes(caller, repo, record->gated)) return;
  const std::string name = repo.full_name();
  if (!caller.signed_in()) {
    ask_to_sign_in("GatedRepo", "Access to " + name +
                                    " is restricted: sign in with a token, and ask for access");
  }
  const auto request = access->book().find_request(repo, caller.who());
  const std::string where =
      base_url(call) + page_path(call.services, repo).substr(base_path(call.services).size());
  refuse(403, "GatedRepo",
         !request
             ? "Access to " + name + " is restricted: ask for it by POST " + where + "/ask-access"
         : request->standing == storage::Standing::Pending
             ? "Access to " + name + " is restricted: your request waits for a decision"
             : "Access to " + name + " is restricted: your request was rejected");
}

void check_change(const Call& call) {
  const auto repo = named_repository(call);
  if (repo) check_may_write(call, *repo);
}

void check_manage(const Call& call) {
  const auto repo = named_repository(call);
  if (repo) check_right(call, *repo, Right::Admin);
}

void check_browse(const Call& call) {
  const Access* access = call.services.access;
  if (access == nullptr || access->may_browse(caller_of(call.request))) return;
  refuse_weak(call, "Authentication required");
}

void check_signed_in(const Call& call) {
  const bool known = call.request.trusted || caller_of(call.request).signed_in();
  if (!known) refuse_weak(call, "This is for those who have signed in");
}

void check_watch(const Call& call) {
  if (!may_watch(call)) {
    refuse_weak(call, "This shows every repository: it needs a token that may read them all");
  }
}

void check_operate(const Call& call) {
  if (!may_operate(call)) refuse_weak(call, "Only an administrator may do this");
}

void check_trust(const Call& call) {
  if (call.request.trusted) return;
  refuse(403, "", "Only the operator may do this: use the holdfast command on the server itself");
}

struct Check {
  Need need;
  void (*check)(const Call&);
};

constexpr std::array kChecks{
    Check{Need::Nothing, [](const Call&) {}},  Check{Need::Browse, check_browse},
    Check{Need::Repository, check_repository}, Check{Need::Files, check_files},
    Check{Need::Change, check_change},         Check{Need::Manage, check_manage},
    Check{Need::Watch, check_watch},           Check{Need::Operate, check_operate},
    Check{Need::Trust, check_trust},           Check{Need::SignIn, check_signed_in},
};

[[noreturn]] void refuse_for(std::chrono::seconds wait, std::string_view message) {
  Response response = error_response(429, "", message);
  response.set("Retry-After", std::to_string(wait.count()));
  throw Refusal(ErrorKind::Denied, std::string(message), std::move(response));
}

bool has_one_authorization(const Request& request) {
  return std::ranges::count_if(request.headers, [](const Header& header) {
           return same_name(header.name, "Authorization");
         }) <= 1;
}

// Credentials that could be read in two ways, or that a browser sends along for another site.
void check_credentials(const Call& call) {
  const Request& request = call.request;
  if (!has_one_authorization(request))
    refuse(400, "", "Authorization: expected one, found several");
  // A browser sends Basic by itself, whoever made it ask; Bearer is put there by a program.
  const bool changes = request.method != "GET" && request.method != "HEAD";
  const bool by_itself = after_scheme(request.header("Authorization"), "Basic").has_value();
  if (changes && by_itself) check_form_origin(call);
  check_form(call);
}

}  // namespace

std::span<const RouteNeed> route_needs() noexcept { return kNeeds; }

std::optional<RepoId> named_repository(const Call& call) {
  std::string_view name = call.match.repo;
  constexpr std::string_view kSuffix = ".git";
  if (name.ends_with(kSuffix)) name.remove_suffix(kSuffix.size());
  return storage::find_repo_id(call.match.kind, name);
}

void check_access(const Call& call) {
  if (call.request.limited.count() > 0) {
    refuse_for(call.request.limited, "Too many requests: wait until the window of the limit ends");
  }
  check_credentials(call);
  if (const auto wait = caller_of(call.request).wait; wait.count() > 0) {
    refuse_for(wait, "Too many wrong tokens from this address");
  }
  const auto* row = std::ranges::find(kNeeds, call.match.route->name, &RouteNeed::route);
  const Need need = row == kNeeds.end() ? Need::Trust : row->need;
  std::ranges::find(kChecks, need, &Check::need)->check(call);
}

void check_right(const Call& call, const RepoId& repo, Right right) {
  const Right held = right_on(call, repo);
  if (held >= right) return;
  if (held < Right::Read) refuse_hidden(call, repo);
  if (!call.services.store.catalog().find_repository(repo)) refuse_absent(call);
  refuse_weak(call, "This needs the right \"" + std::string(storage::to_text(right)) + "\" on " +
                        repo.full_name());
}

bool holds(const Call& call, const RepoId& repo, Right right) {
  return right_on(call, repo) >= right;
}

void ask_to_sign_in(std::string_view code, std::string_view message) {
  throw Refusal(ErrorKind::Denied, std::string(message), challenge(code, message));
}

void refuse_weak(const Call& call, std::string_view message) {
  const Caller& caller = caller_of(call.request);
  if (caller.wrong_token) ask_to_sign_in("", kWrongToken);
  const Access* access = call.services.access;
  if (!caller.signed_in() && access != nullptr && access->asks_for_token()) {
    ask_to_sign_in("", "Authentication required");
  }
  refuse(403, "", message);
}

const Caller& caller_of(const Request& request) noexcept {
  static const Caller kNobody{};
  return request.caller == nullptr ? kNobody : *request.caller;
}

bool may_have_files(const Request& request, const Services& services, const RepoId& repo,
                    std::string_view gated) {
  const Access* access = services.access;
  if (request.limited.count() > 0) return false;
  if (access == nullptr || request.trusted) return true;
  const Caller& caller = caller_of(request);
  return caller.wait.count() == 0 && has_one_authorization(request) &&
         access->right_on(caller, repo) >= Right::Read && access->passes(caller, repo, gated);
}

bool may_see(const Call& call, const RepoId& repo) {
  return sees_all(call) || right_on(call, repo) >= Right::Read;
}

std::function<bool(const RepoId&)> seen_by(const Call& call) {
  if (sees_all(call)) return {};
  return [&call](const RepoId& repo) { return right_on(call, repo) >= Right::Read; };
}

bool may_watch(const Call& call) { return right_on_server(call) >= Right::Read; }

bool may_operate(const Call& call) { return right_on_server(call) >= Right::Admin; }

bool is_private(const Call& call, const RepoId& repo) {
  return call.services.access != nullptr && call.services.access->book().rules(repo).is_private;
}

std::string_view gate_text(const Call& call, const storage::RepositoryRecord& repository) {
  const Access* access = call.services.access;
  if (access == nullptr) return repository.gated;
  const auto gate = access->book().rules(repository.id).gate;
  if (!gate) return repository.gated;
  return *gate == storage::Gate::Open ? std::string_view() : storage::to_text(*gate);
}

void refuse_absent(const Call& call, std::string_view subject) {
  const Caller& caller = caller_of(call.request);
  const Access* access = call.services.access;
  const bool may_sign_in =
      access != nullptr && !caller.signed_in() && !call.request.trusted && access->asks_for_token();
  Response response = caller.wrong_token ? challenge("", kWrongToken)
                      : may_sign_in      ? challenge("RepoNotFound", kAbsent)
                                         : error_response(404, "RepoNotFound", kAbsent);
  response.subject = subject;
  throw Refusal(ErrorKind::NotFound, std::string(kAbsent), std::move(response));
}

}  // namespace holdfast::web
