#include "web/routes.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "web/internal/handlers.h"
#include "web/internal/route_pattern.h"
#include "web/url.h"

namespace holdfast::web {
namespace {

using storage::RepoKind;

constexpr bool kPulls = true;

constexpr std::array kRoutes{
    // The hub's paths that clients ask for most stand first.
    Route{"GET", "/{repo}/resolve/{rev}/{path}", "resolve", resolve_file, Where::Inline, kPulls},
    Route{"GET", "/api/{kinds}/{repo}/revision/{rev}", "info", repository_info, Where::Pool,
          kPulls},
    Route{"GET", "/api/{kinds}/{repo}/tree/{rev}", "tree", list_tree, Where::Pool, kPulls},
    Route{"GET", "/api/{kinds}/{repo}/tree/{rev}/{path}", "tree", list_tree, Where::Pool, kPulls},
    Route{"GET", "/api/{kinds}/{repo}/treesize/{rev}", "treesize", tree_size},
    Route{"GET", "/api/{kinds}/{repo}/treesize/{rev}/{path}", "treesize", tree_size},
    Route{"POST", "/api/{kinds}/{repo}/paths-info/{rev}", "paths-info", paths_info, Where::Pool,
          kPulls},
    Route{"GET", "/api/{kinds}/{repo}/refs", "refs", list_refs, Where::Inline, kPulls},
    Route{"GET", "/api/{kinds}/{repo}/commits/{rev}", "commits", list_commits, Where::Pool, kPulls},
    Route{"GET", "/api/whoami-v2", "whoami", who_am_i, Where::Inline},
    Route{"GET", "/api/agent-harnesses", "agent-harnesses", agent_harnesses, Where::Inline},
    Route{"GET", "/api/telemetry/{path}", "telemetry", telemetry, Where::Inline},
    Route{"GET", "/api/{kinds}", "list", list_hub_repositories},
    Route{"GET", "/api/{kinds}/{repo}/compare/{path}", "compare", compare_revisions},
    Route{"GET", "/api/{kinds}/{repo}/auth-check", "auth-check", auth_check, Where::Inline},
    Route{"GET", "/api/{kinds}/{repo}/auth-check/write", "auth-check-write", auth_check,
          Where::Inline},
    Route{"GET", "/api/{kinds}/{repo}/user-access-request/{path}", "access-requests",
          list_access_requests},
    Route{"POST", "/api/{kinds}/{repo}/user-access-request/handle", "access-decision",
          decide_access_request},
    Route{"POST", "/api/{kinds}/{repo}/user-access-request/grant", "access-decision", grant_access},
    Route{"GET", "/api/{kinds}/{repo}/discussions", "discussions", list_discussions, Where::Inline},
    Route{"GET", "/api/{kinds}/{repo}", "info", repository_info, Where::Pool, kPulls},
    Route{"GET", "/api/models-tags-by-type", "tags", list_model_tags},
    Route{"GET", "/api/datasets-tags-by-type", "tags", list_dataset_tags},
    Route{"GET", "/api/spaces", "empty", empty_list, Where::Inline},
    Route{"GET", "/api/spaces/{path}", "unknown-api", no_space, Where::Inline},
    Route{"GET", "/api/collections", "empty", empty_list, Where::Inline},
    Route{"GET", "/api/daily_papers", "empty", empty_list, Where::Inline},
    Route{"GET", "/api/papers/search", "empty", empty_list, Where::Inline},
    Route{"POST", "/api/repos/create", "repo-create", create_repository},
    Route{"DELETE", "/api/repos/delete", "repo-delete", delete_repository},
    Route{"POST", "/api/{kinds}/{repo}/preupload/{rev}", "preupload", preupload},
    Route{"POST", "/api/{kinds}/{repo}/commit/{rev}", "commit", take_whole, Where::Pool, false,
          receive_commit},
    Route{"GET", "/api/{kinds}/{repo}/xet-write-token/{rev}", "xet-write-token", refuse_xet_write,
          Where::Inline},
    Route{"GET", "/api/{kinds}/{repo}/xet-read-token/{rev}", "xet-read-token", xet_read_token},
    Route{"POST", "/api/{kinds}/{repo}/branch/{rev}", "branch-create", create_branch},
    Route{"DELETE", "/api/{kinds}/{repo}/branch/{rev}", "branch-delete", delete_branch},
    Route{"POST", "/api/{kinds}/{repo}/tag/{rev}", "tag-create", create_tag},
    Route{"DELETE", "/api/{kinds}/{repo}/tag/{rev}", "tag-delete", delete_tag},
    Route{"POST", "/api/{kinds}/{repo}/super-squash/{rev}", "squash", squash_branch},
    Route{"PUT", "/api/{kinds}/{repo}/settings", "settings", change_settings},
    Route{"GET", "/api/{kinds}/{repo}/lfs-files", "lfs-files", list_lfs_files},
    Route{"POST", "/api/repos/move", "repo-move", move_repository},
    Route{"POST", "/api/validate-yaml", "validate-yaml", validate_yaml},
    Route{"ANY", "/api/{path}", "unknown-api", unknown_api, Where::Inline},

    Route{"GET", "/-/healthz", "healthz", health, Where::Inline},
    Route{"GET", "/-/readyz", "readyz", readiness},
    Route{"GET", "/-/metrics", "metrics", metrics_text},
    Route{"GET", "/-/api/v1/repositories", "own-repositories", list_repositories},
    Route{"GET", "/-/api/v1/repositories/{kind}/{repo}/evidence/{rev}", "evidence", show_evidence},
    Route{"GET", "/-/api/v1/repositories/{kind}/{repo}", "own-repository", show_repository},
    Route{"GET", "/-/api/v1/facts/{kind}/{repo}/{rev}", "facts", list_facts},
    Route{"GET", "/-/api/v1/holes", "holes", list_holes},
    Route{"GET", "/-/api/v1/mirrors", "mirrors", list_mirrors},
    Route{"POST", "/-/api/v1/webhooks/hub", "webhook", receive_webhook},
    Route{"GET", "/-/api/v1/jobs", "jobs", list_jobs},
    Route{"POST", "/-/api/v1/jobs", "enqueue", enqueue_job},
    Route{"GET", "/-/api/v1/jobs/{id}", "job", show_job},
    Route{"GET", "/-/api/v1/jobs/{id}/log", "job-log", job_log},
    Route{"POST", "/-/api/v1/jobs/{id}/cancel", "job-cancel", cancel_job},
    Route{"POST", "/-/api/v1/jobs/{id}/retry", "job-retry", retry_job},
    Route{"GET", "/-/api/v1/tokens", "tokens", list_tokens},
    Route{"POST", "/-/api/v1/tokens", "token-create", create_token},
    Route{"POST", "/-/api/v1/tokens/revoke", "token-revoke", revoke_token},
    Route{"GET", "/-/api/v1/users", "users", list_users},
    Route{"POST", "/-/api/v1/users", "user-set", set_user},
    Route{"POST", "/-/api/v1/users/remove", "user-remove", remove_user},
    Route{"GET", "/-/api/v1/quotas/{path}", "quota", show_quota},
    Route{"GET", "/-/api/v1/access/{kind}/{repo}", "rules", show_rules},
    Route{"POST", "/-/api/v1/access/{kind}/{repo}", "rules-set", set_rules},
    Route{"GET", "/-/mirrors", "mirrors-page", mirrors_page},
    Route{"GET", "/-/jobs", "jobs-page", jobs_page},
    Route{"GET", "/-/jobs/{id}", "job-page", job_page},
    Route{"POST", "/-/jobs/{id}/cancel", "job-cancel", cancel_job_by_form},
    Route{"POST", "/-/jobs/{id}/retry", "job-retry", retry_job_by_form},
    Route{"GET", "/-/access/{kind}/{repo}", "access-page", access_page},
    Route{"POST", "/-/access/{kind}/{repo}", "access-decision", decide_access_by_form},
    Route{"POST", "/-/ask-access/{kind}/{repo}", "ask-access", ask_access_by_form},
    Route{"GET", "/-/login", "sign-in-page", sign_in_page, Where::Inline},
    Route{"POST", "/-/login", "sign-in", sign_in},
    Route{"POST", "/-/logout", "sign-out", sign_out, Where::Inline},
    Route{"GET", "/-/tokens", "tokens-page", tokens_page},
    Route{"POST", "/-/tokens", "token-create", create_token_by_form},
    Route{"POST", "/-/tokens/revoke", "token-revoke", revoke_token_by_form},
    Route{"GET", "/-/static/{path}", "static", static_file, Where::Inline},
    Route{"GET", "/-/oci/token", "oci-token", oci_token, Where::Inline},
    Route{"GET", "/-/xet/v1/reconstructions/{path}", "xet-reconstruction", xet_reconstruction_v1},
    Route{"GET", "/-/xet/v2/reconstructions/{path}", "xet-reconstruction", xet_reconstruction_v2},
    Route{"GET", "/-/xet/xorbs/{path}", "xet-xorb", xet_xorb},
    Route{"ANY", "/-/{path}", "unknown-api", unknown_api, Where::Inline},

    Route{"GET", "/{repo}/info/refs", "git-refs", git_refs, Where::Pool, kPulls},
    Route{"POST", "/{repo}/git-upload-pack", "git-upload-pack", git_upload_pack},
    Route{"POST", "/{repo}/git-receive-pack", "git-receive-pack", take_whole, Where::Pool, false,
          receive_git_push},
    Route{"POST", "/{repo}/info/lfs/objects/batch", "lfs-batch", lfs_batch},
    Route{"GET", "/{repo}/info/lfs/objects/{path}", "lfs-object", lfs_object},
    Route{"PUT", "/{repo}/info/lfs/objects/{path}", "lfs-put", take_whole, Where::Pool, false,
          receive_lfs_object},
    Route{"POST", "/{repo}/info/lfs/objects/{path}", "lfs-complete", lfs_complete},
    Route{"POST", "/{repo}/info/lfs/verify", "lfs-verify", lfs_verify},

    Route{"POST", "/{repo}/ask-access", "ask-access", ask_access},

    Route{"GET", "/v2", "oci", oci_root, Where::Inline},
    Route{"GET", "/v2/{repo}/manifests/{rev}", "oci-manifest", oci_manifest, Where::Pool, kPulls},
    Route{"GET", "/v2/{repo}/tags/list", "oci-tags", oci_tags},
    Route{"GET", "/v2/{repo}/blobs/{rev}", "oci-blob", oci_blob},
    Route{"ANY", "/v2/{path}", "unknown-api", unknown_oci, Where::Inline},

    Route{"GET", "/", "catalog-page", catalog_page},
    Route{"GET", "/{repo}/raw/{rev}/{path}", "raw", raw_file, Where::Inline, kPulls},
    Route{"GET", "/{repo}/tree/{rev}", "tree-page", tree_page, Where::Pool, kPulls},
    Route{"GET", "/{repo}/tree/{rev}/{path}", "tree-page", tree_page, Where::Pool, kPulls},
    Route{"GET", "/{repo}/blob/{rev}/{path}", "blob-page", blob_page, Where::Pool, kPulls},
    Route{"GET", "/{repo}", "model-page", model_page, Where::Pool, kPulls},
};

using Parts = std::span<const std::string_view>;

// The decoded text of parts joined by '/'; nothing when an escape is broken.
std::optional<std::string> join(Parts parts) {
  std::string joined;
  for (const std::string_view part : parts) {
    const auto decoded = percent_decode(part);
    if (!decoded) return std::nullopt;
    if (!joined.empty()) joined += '/';
    joined += *decoded;
  }
  return joined;
}

std::string_view take_part(std::string_view& pattern) noexcept {
  const auto end = std::min(pattern.find('/'), pattern.size());
  const auto part = pattern.substr(0, end);
  pattern.remove_prefix(std::min(end + 1, pattern.size()));
  return part;
}

bool match_parts(std::string_view pattern, Parts parts, bool at_root, Match& found);

bool match_repo(std::string_view pattern, Parts parts, bool at_root, Match& found) {
  if (at_root && parts.size() > 1 && parts.front() == "datasets") {
    found.kind = RepoKind::Dataset;
    parts = parts.subspan(1);
  }
  for (const std::size_t count : {std::size_t{2}, std::size_t{1}}) {
    if (parts.size() < count) continue;
    if (!match_parts(pattern, parts.subspan(count), false, found)) continue;
    auto repo = join(parts.first(count));
    if (!repo) return false;
    found.repo = std::move(*repo);
    return true;
  }
  return false;
}

bool match_revision(std::string_view pattern, Parts parts, Match& found) {
  if (parts.empty()) return false;
  const std::size_t count = parts.front() == "refs" && parts.size() >= 3 ? 3 : 1;
  auto revision = join(parts.first(count));
  if (!revision || !match_parts(pattern, parts.subspan(count), false, found)) return false;
  found.revision = std::move(*revision);
  return true;
}

bool match_path(Parts parts, Match& found) {
  auto path = parts.empty() ? std::nullopt : join(parts);
  if (path) found.path = std::move(*path);
  return path.has_value();
}

bool match_id(std::string_view part, Match& found) {
  const auto result = std::from_chars(part.data(), part.data() + part.size(), found.id);
  return result.ec == std::errc() && result.ptr == part.data() + part.size();
}

bool match_kind(std::string_view hole, std::string_view part, Match& found) {
  const bool plural = hole == "{kinds}";
  if (part == (plural ? "datasets" : "dataset")) found.kind = RepoKind::Dataset;
  return found.kind == RepoKind::Dataset || part == (plural ? "models" : "model");
}

bool match_parts(std::string_view pattern, Parts parts, bool at_root, Match& found) {
  while (!pattern.empty()) {
    const std::string_view want = take_part(pattern);
    if (want == "{repo}") return match_repo(pattern, parts, at_root, found);
    if (want == "{rev}") return match_revision(pattern, parts, found);
    if (want == "{path}") return match_path(parts, found);
    if (parts.empty()) return false;
    const std::string_view part = parts.front();
    if (want == "{kinds}" || want == "{kind}") {
      if (!match_kind(want, part, found)) return false;
    } else if (want == "{id}") {
      if (!match_id(part, found)) return false;
    } else if (want != part) {
      return false;
    }
    parts = parts.subspan(1);
    at_root = false;
  }
  return parts.empty();
}

bool answers(const Route& route, std::string_view method) noexcept {
  return route.method == "ANY" || route.method == method ||
         (route.method == "GET" && method == "HEAD");
}

}  // namespace

std::span<const Route> routes() noexcept { return kRoutes; }

bool takes_body(const std::optional<Match>& found) noexcept {
  return found && found->route != nullptr && found->route->method != "GET" &&
         found->route->method != "ANY";
}

bool fits_pattern(std::string_view pattern, std::string_view target) {
  const auto split = split_target(target);
  Match found;
  return split && match_parts(pattern.substr(1), split->parts, true, found);
}

std::optional<Match> match(std::string_view method, std::string_view target) {
  const auto split = split_target(target);
  if (!split) return std::nullopt;
  Match other_method;
  for (const Route& route : kRoutes) {
    Match found;
    if (!match_parts(route.pattern.substr(1), split->parts, true, found)) continue;
    if (!answers(route, method)) {
      other_method.allow +=
          route.method == "GET" ? "GET, HEAD, " : std::string(route.method) + ", ";
      continue;
    }
    // A GET on a path that only takes POST must not fall through to the rows of last resort.
    if (route.method == "ANY" && !other_method.allow.empty()) break;
    found.route = &route;
    return found;
  }
  if (other_method.allow.empty()) return std::nullopt;
  other_method.allow += "OPTIONS";
  return other_method;
}

}  // namespace holdfast::web
