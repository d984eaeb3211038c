#include "storage/internal/renaming.h"

#include <string>
#include <vector>

#include "storage/base/error.h"
#include "storage/internal/catalog_rows.h"
#include "storage/internal/changes.h"
#include "storage/internal/keys.h"
#include "storage/internal/publish.h"
#include "storage/internal/removal.h"

namespace holdfast::storage {
namespace {

class Renaming {
 public:
  Renaming(Batch& batch, const Database& database, const RepoId& from, const RepoId& to)
      : batch_(batch), database_(database), from_(from), to_(to) {}

  void move_revision(const GitOid& commit) {
    const std::string prefix = keys::of_revision(from_, commit, "");
    database_.scan(Family::Tree, prefix, [&](std::string_view key, std::string_view row) {
      move_reference(commit, decode_file(key.substr(prefix.size()), row));
      return true;
    });
    for (const Family family : {Family::Tree, Family::Fact, Family::Hole})
      move_rows(family, prefix, keys::of_revision(to_, commit, ""));
    move_rows(Family::Evidence, keys::evidence(from_, commit), keys::evidence(to_, commit));
  }

  void move_rows(Family family, const std::string& prefix, const std::string& new_prefix) {
    database_.scan(family, prefix, [&](std::string_view key, std::string_view row) {
      batch_.put(family, new_prefix + std::string(key.substr(prefix.size())), row);
      batch_.erase(family, key);
      return true;
    });
  }

 private:
  void move_reference(const GitOid& commit, const FileRecord& file) {
    if (!file.object) return;
    batch_.put(Family::Ref, keys::reference(*file.object, to_, commit, file.path), "");
    batch_.erase(Family::Ref, keys::reference(*file.object, from_, commit, file.path));
  }

  Batch& batch_;
  const Database& database_;
  const RepoId& from_;
  const RepoId& to_;
};

}  // namespace

void add_renaming(Batch& batch, const CatalogParts& parts, const RepoId& from, const RepoId& to) {
  const std::string old_key = keys::repository(to_text(from));
  const std::string new_key = keys::repository(to_text(to));
  const auto row = parts.database.get(Family::Head, old_key);
  if (!row) fail(ErrorKind::NotFound, to_text(from) + ": no such repository here");
  if (from.kind != to.kind || parts.database.contains(Family::Head, new_key))
    fail(ErrorKind::Conflict, to_text(to) + ": the name is taken, or of another kind");
  RepositoryRecord record = decode_repository(*row);
  record.id = to;
  batch.put(Family::Head, new_key, encode_repository(record));
  batch.erase(Family::Head, old_key);
  Renaming renaming(batch, parts.database, from, to);
  for (const GitOid& commit : all_revisions(parts.database, from)) renaming.move_revision(commit);
  renaming.move_revision(GitOid{});  // what is said of the repository itself
  renaming.move_rows(Family::Head, keys::revision(from, ""), keys::revision(to, ""));
  renaming.move_rows(Family::Head, keys::ref(from, ""), keys::ref(to, ""));
  batch.erase(Family::Fact, keys::of_revision(to, GitOid{}, "moved"));
  batch.put(Family::Fact, keys::of_revision(from, GitOid{}, "moved"),
            to_text(Json(to.full_name())));
  note_change(batch, parts, from);
  note_change(batch, parts, to);
  add_audit(batch, parts, {{"event", "rename"}, {"repo", to_text(from)}, {"to", to_text(to)}});
}

}  // namespace holdfast::storage
