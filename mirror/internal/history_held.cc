#include "mirror/internal/history_held.h"

#include <unordered_set>

namespace holdfast::mirror {

std::optional<History> history_held(const storage::Catalog& catalog, const storage::RepoId& repo,
                                    const GitOid& commit, std::span<storage::FileRecord> files) {
  const auto revision = catalog.find_revision(repo, commit);
  if (!revision || revision->git_commit != revision->commit) return std::nullopt;
  for (storage::FileRecord& file : files) {
    const auto held = catalog.find_file(repo, commit, file.path);
    if (!held || held->blob != file.blob) return std::nullopt;
    file.mode = held->mode;
  }
  return History{.git_commit = revision->git_commit,
                 .tree = revision->tree,
                 .genuine = true,
                 .title = revision->title,
                 .objects = {}};
}

std::uint64_t bytes_not_held(const storage::Catalog& catalog, const History& history) {
  std::uint64_t bytes = 0;
  std::unordered_set<GitOid> met;
  for (const auto& [oid, object] : history.objects) {
    if (met.insert(oid).second && !catalog.find_git_object(oid)) bytes += object.bytes.size();
  }
  return bytes;
}

}  // namespace holdfast::mirror
