#include "storage/internal/removal.h"

#include <map>
#include <set>
#include <vector>

#include "storage/base/error.h"
#include "storage/git/objects.h"
#include "storage/internal/catalog_rows.h"
#include "storage/internal/changes.h"
#include "storage/internal/keys.h"
#include "storage/internal/publish.h"

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

std::vector<GitOid> find_unreachable(const Catalog& catalog, const RepoId& repo) {
  const auto revisions = catalog.revisions(repo);
  std::map<GitOid, GitOid> commits;  // by the id under which they are served
  for (const auto& revision : revisions) commits.emplace(revision.commit, revision.git_commit);
  std::vector<GitOid> open, lost;
  for (const Ref& ref : catalog.refs(repo)) {
    const auto named = commits.find(ref.commit);
    if (named != commits.end()) open.push_back(named->second);
  }
  if (open.empty()) return lost;
  std::set<GitOid> reached;
  while (!open.empty()) {
    const GitOid commit = open.back();
    open.pop_back();
    if (!reached.insert(commit).second) continue;
    const auto object = catalog.find_git_object(commit);
    if (!object || object->type != "commit") continue;
    for (const GitOid& parent : git::parse_commit(object->bytes).parents) open.push_back(parent);
  }
  for (const auto& revision : revisions) {
    if (!reached.contains(revision.git_commit)) lost.push_back(revision.commit);
  }
  return lost;
}

void add_expiry(Batch& batch, const CatalogParts& parts, const RepoId& repo,
                std::span<const GitOid> commits) {
  for (const GitOid& commit : commits) {
    erase_revision(batch, parts.database, repo, commit);
    add_audit(batch, parts,
              {{"event", "remove"},
               {"repo", to_text(repo)},
               {"commit", to_hex(commit)},
               {"revisions", 1}});
  }
  note_change(batch, parts, repo);
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
  note_change(batch, parts, repo);
  add_audit(batch, parts,
            {{"event", "remove"},
             {"repo", name},
             {"commit", commit ? Json(to_hex(*commit)) : Json()},
             {"revisions", removal.revisions.size()}});
  return removal;
}

}  // namespace holdfast::storage
