#include "storage/internal/removal.h"

#include <vector>

#include "storage/base/error.h"
#include "storage/internal/catalog_rows.h"
#include "storage/internal/keys.h"
#include "storage/internal/publish.h"

#include "storage/internal/changes.h"
namespace holdfast::storage {
namespace {

void erase_all(Batch& batch, const Database& database, Family family, const std::string& prefix) {
  database.scan(family, prefix, [&](std::string_view key, std::string_view) {
    batch.erase(family, key);
    return true;
  });
}

void erase_revision(Batch& batch, const Database& database, const RepoId& repo,
                    const GitOid& commit) {
  const std::string prefix = keys::of_revision(repo, commit, "");
  database.scan(Family::Tree, prefix, [&](std::string_view key, std::string_view row) {
    const FileRecord file = decode_file(key.substr(prefix.size()), row);
    if (file.object)
      batch.erase(Family::Ref, keys::reference(*file.object, repo, commit, file.path));
    batch.erase(Family::Tree, key);
    return true;
  });
  erase_all(batch, database, Family::Fact, prefix);
  erase_all(batch, database, Family::Hole, prefix);
  batch.erase(Family::Evidence, keys::evidence(repo, commit));
  batch.erase(Family::Head, keys::revision(repo, to_hex(commit)));
}

}  // namespace

std::vector<GitOid> all_revisions(const Database& database, const RepoId& repo) {
  std::vector<GitOid> all;
  database.scan(Family::Head, keys::revision(repo, ""),
                [&](std::string_view, std::string_view row) {
                  all.push_back(decode_revision(row).commit);
                  return true;
                });
  return all;
}

Removal add_removal(Batch& batch, const CatalogParts& parts, const RepoId& repo,
                    const std::optional<GitOid>& commit) {
  const std::string name = to_text(repo);
  if (!parts.database.contains(Family::Head, keys::repository(name)))
    fail(ErrorKind::NotFound, name + ": no such repository here");
  const std::vector<GitOid> all = all_revisions(parts.database, repo);
  Removal removal{.revisions = commit ? std::vector{*commit} : all};
  if (commit && !parts.database.contains(Family::Head, keys::revision(repo, to_hex(*commit))))
    fail(ErrorKind::NotFound, name + ": commit " + to_hex(*commit) + ": not stored");
  removal.repository = removal.revisions.size() == all.size();
  for (const GitOid& revision : removal.revisions)
    erase_revision(batch, parts.database, repo, revision);
  const std::string refs = keys::ref(repo, "");
  parts.database.scan(Family::Head, refs, [&](std::string_view key, std::string_view row) {
    if (!removal.repository && decode_oid(row) != *commit) return true;
    removal.refs.emplace_back(key.substr(refs.size()));
    batch.erase(Family::Head, key);
    return true;
  });
  if (removal.repository) {
    batch.erase(Family::Head, keys::repository(name));
    erase_revision(batch, parts.database, repo, GitOid{});  // what is said of the repository itself
  }
  add_audit(batch, parts,
            {{"event", "remove"},
             {"repo", name},
             {"commit", commit ? Json(to_hex(*commit)) : Json()},
             {"revisions", removal.revisions.size()}});
  return removal;
}

}  // namespace holdfast::storage
  note_change(batch, parts, repo);
