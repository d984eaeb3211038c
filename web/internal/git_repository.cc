#include "web/internal/git_repository.h"

#include <algorithm>
#include <set>

#include "web/internal/answers.h"

namespace holdfast::web {
namespace {

// A mirrored history stands in a fact of its newest revision, as a list of commits in hex.
void add_past(const storage::Catalog& catalog, const storage::RepoId& repo,
              const storage::RevisionRecord& revision, std::set<GitOid>& commits) {
  const auto past = catalog.find_fact(repo, revision.commit, "git/history");
  if (!past) return;
  for (const Json& hex : past->as_array("git/history")) {
    if (const auto oid = parse_git_oid(hex.as_string("git/history"))) commits.insert(*oid);
  }
}

}  // namespace

storage::RepositoryRecord find_git_repository(const Call& call) {
  Match match = call.match;
  constexpr std::string_view kSuffix = ".git";
  if (match.repo.ends_with(kSuffix)) match.repo.resize(match.repo.size() - kSuffix.size());
  return find_repository(
      Call{.request = call.request, .services = call.services, .match = match, .query = {}});
}

GitRepository open_git_repository(const Call& call) {
  const auto& catalog = call.services.store.catalog();
  GitRepository repository{
      .record = find_git_repository(call), .head = {}, .refs = {}, .commits = {}};
  repository.head = "refs/heads/" + repository.record.default_branch;
  for (const auto& ref : catalog.refs(repository.record.id)) {
    const auto revision = catalog.find_revision(repository.record.id, ref.commit);
    if (revision) repository.refs.push_back({ref.name, revision->git_commit});
  }
  for (const auto& revision : catalog.revisions(repository.record.id)) {
    repository.commits.insert(revision.git_commit);
    add_past(catalog, repository.record.id, revision, repository.commits);
  }
  std::ranges::sort(repository.refs, {}, &GitRef::name);
  return repository;
}

const GitRef* head_of(const GitRepository& repository) noexcept {
  const auto found = std::ranges::find(repository.refs, repository.head, &GitRef::name);
  return found == repository.refs.end() ? nullptr : &*found;
}

}  // namespace holdfast::web
