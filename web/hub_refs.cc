// Branches and tags of repositories of our own, and a branch's past folded into one commit
// (hub-protocol 3.1). Tags name commits directly: there are no tag objects.
#include <set>

#include "storage/git/objects.h"
#include "web/internal/answers.h"
#include "web/internal/commit.h"
#include "web/internal/request_json.h"
#include "web/internal/write_access.h"
#include "web/limits.h"
#include "web/repo_path.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kHeads = "refs/heads/";
constexpr std::string_view kTags = "refs/tags/";

// What a client called "main", "refs/heads/main" or "v1" as the full name of a branch or tag.
std::string full_ref(std::string_view space, std::string_view name) {
  if (name.starts_with(space)) name.remove_prefix(space.size());
  if (!is_ref_name(name)) {
    refuse(400, "", "Invalid reference name: " + std::string(name.substr(0, 200)));
  }
  return std::string(space) + std::string(name);
}

struct RefBody {
  std::string starting_point;  // of a branch
  bool empty = false;          // a branch without files and past
  bool overwrite = false;
  std::string tag;
  std::string message;  // of a squash
};

// Some of these requests have no body at all.
RefBody read_ref_body(const Call& call) {
  if (call.request.body.empty()) return {};
  return read_body(call, [](const Json& json) {
    return RefBody{.starting_point = text_member(json, "startingPoint"),
                   .empty = flag_member(json, "emptyBranch"),
                   .overwrite = flag_member(json, "overwrite"),
                   .tag = text_member(json, "tag"),
                   .message = text_member(json, "message")};
  });
}

GitOid resolve(const Call& call, const storage::RepoId& repo, const std::string& revision) {
  const auto commit = call.services.store.catalog().resolve(repo, revision);
  if (!commit) refuse(404, "RevisionNotFound", "Invalid rev id: " + revision);
  return *commit;
}

std::optional<GitOid> find_ref(const Call& call, const storage::RepoId& repo,
                               const std::string& ref) {
  return call.services.store.catalog().resolve(repo, ref);
}

[[noreturn]] void refuse_known(const std::string& ref) {
  refuse(409, "", "Reference " + ref + " already exists");
}

void set_ref(const Call& call, const storage::RepoId& repo, const storage::Ref& ref,
             const std::optional<GitOid>& before) {
  const storage::Ref expected{.name = ref.name, .commit = before.value_or(GitOid{})};
  call.services.store.catalog().change_refs(repo, {&expected, 1}, {&ref, 1});
}

Response remove_ref(const Call& call, const std::string& ref) {
  const auto repository = find_writable_repository(call);
  if (ref == std::string(kHeads) + repository.default_branch) {
    refuse(403, "", "Cannot delete " + ref + ": it is the default branch");
  }
  const auto before = find_ref(call, repository.id, ref);
  if (!before) refuse(404, "RevisionNotFound", "Invalid rev id: " + ref);
  set_ref(call, repository.id, {.name = ref, .commit = {}}, before);
  call.services.store.catalog().expire_unreachable(repository.id);
  return json_response(Json::Object{});
}

}  // namespace

Response create_branch(const Call& call) {
  const auto repository = find_writable_repository(call);
  const RefBody asked = read_ref_body(call);
  const std::string ref = full_ref(kHeads, call.match.revision);
  const auto before = find_ref(call, repository.id, ref);
  const bool bare = asked.starting_point.empty() && !asked.empty;
  if (before && !asked.overwrite) refuse_known(ref);
  if (before && bare) return json_response(Json::Object{{"ref", ref}});
  if (asked.empty) {
    if (before) refuse(400, "", "an existing branch cannot be made empty: delete it first");
    commit_edits(call.services, {.repository = repository,
                                 .ref = ref,
                                 .message = "initial commit",
                                 .parent = {},
                                 .first = true,
                                 .edits = {},
                                 .author = author_of(call)});
    return json_response(Json::Object{{"ref", ref}}, 201);
  }
  const std::string from = bare ? "HEAD" : asked.starting_point;
  const GitOid commit = resolve(call, repository.id, from);
  set_ref(call, repository.id, {.name = ref, .commit = commit}, before);
  if (before) call.services.store.catalog().expire_unreachable(repository.id);
  return json_response(Json::Object{{"ref", ref}}, 201);
}

Response delete_branch(const Call& call) {
  return remove_ref(call, full_ref(kHeads, call.match.revision));
}

Response create_tag(const Call& call) {
  const auto repository = find_writable_repository(call);
  const std::string ref = full_ref(kTags, read_ref_body(call).tag);
  return about(ref, [&] {
    if (find_ref(call, repository.id, ref)) refuse_known(ref);
    const GitOid commit = resolve(call, repository.id, call.match.revision);
    set_ref(call, repository.id, {.name = ref, .commit = commit}, std::nullopt);
    return json_response(Json::Object{{"ref", ref}}, 201);
  });
}

Response delete_tag(const Call& call) {
  return remove_ref(call, full_ref(kTags, call.match.revision));
}

Response squash_branch(const Call& call) {
  const auto repository = find_writable_repository(call);
  const std::string ref = full_ref(kHeads, call.match.revision);
  std::string message = read_ref_body(call).message;
  if (message.empty()) message = "Squash " + ref;
  if (message.size() > kCommitMessageMax || message.find('\0') != std::string::npos) {
    refuse(400, "", "message: too long, or with a NUL");
  }
  const GitOid commit = squash(call.services, {.repository = repository,
                                               .ref = ref,
                                               .message = message,
                                               .parent = {},
                                               .edits = {},
                                               .author = author_of(call)});
  return json_response(Json::Object{{"commitOid", to_hex(commit)}});
}

}  // namespace holdfast::web
