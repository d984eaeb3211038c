#include "storage/internal/publish.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <unordered_set>

#include "storage/base/error.h"
#include "storage/internal/blob_rows.h"
#include "storage/internal/catalog_rows.h"
#include "storage/internal/keys.h"
#include "storage/limits.h"
#include "storage/ref_places.h"

namespace holdfast::storage {
namespace {

std::string where(const Publication& publication) {
  return to_text(publication.repository.id) + "@" + to_hex(publication.revision.commit);
}

// Relative, '/'-separated, without empty, "." and ".." parts: what may become a file name.
bool is_clean_path(std::string_view path) {
  if (path.empty() || path.size() > kPathMax || path.find('\0') != path.npos) return false;
  while (true) {
    const std::string_view part = path.substr(0, path.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    if (part.size() == path.size()) return true;
    path.remove_prefix(part.size() + 1);
  }
}

// What gc condemned still has its bytes, and has them until gc holds the gate alone: a publication
// that names it in the meantime brings it back.
std::optional<BlobRow> find_condemned(const CatalogParts& parts, const Digest& digest) {
  auto row = find_blob_row(parts.database, digest);
  if (row && row->state != BlobState::Condemned) row.reset();
  return row;
}

std::optional<std::uint64_t> size_of(const CatalogParts& parts, const Digest& digest) {
  if (const auto size = parts.blobs.find(digest)) return size;
  const auto condemned = find_condemned(parts, digest);
  return condemned ? std::optional(condemned->size_bytes) : std::nullopt;
}

void revive(Batch& batch, const CatalogParts& parts, const Digest& digest) {
  auto row = find_condemned(parts, digest);
  if (!row) return;
  row->state = BlobState::Healthy;
  put_blob_row(batch, digest, *row);
  batch.erase(Family::Gc, keys::condemned(digest, row->generation));
}

void check_file(const CatalogParts& parts, const Publication& publication, const FileRecord& file) {
  const auto named = [&] { return where(publication) + ": " + file.path; };
  if (!is_clean_path(file.path))
    fail(ErrorKind::Invalid, named() + R"(: expected a relative path without "." and ".." parts)");
  if (!file.object) return;
  const auto size = size_of(parts, *file.object);
  if (!size)
    fail(ErrorKind::NotFound, named() + ": object " + to_hex(*file.object) + ": not stored");
  if (*size != file.size_bytes)
    fail(ErrorKind::Invalid, named() + ": expected " + std::to_string(file.size_bytes) +
                                 " bytes, found an object of " + std::to_string(*size));
}

void check_still_there(const CatalogParts& parts, const Publication& publication) {
  const std::string name = to_text(publication.repository.id);
  const auto row = parts.database.get(Family::Head, keys::repository(name));
  if (!row) fail(ErrorKind::NotFound, name + ": expected to be there, found it removed");
  if (decode_repository(*row).created_at != publication.repository.created_at)
    fail(ErrorKind::NotFound, name + ": expected as it was, found another that was made since");
}

// Calls `visit` with every ref of the repository that cannot be beside this one.
void for_each_in_way(const CatalogParts& parts, const RepoId& repo, std::string_view name,
                     const std::function<void(std::string_view other)>& visit) {
  for (auto slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    const std::string_view parent = name.substr(0, slash);
    if (parts.database.contains(Family::Head, keys::ref(repo, parent))) visit(parent);
  }
  const std::size_t start = keys::ref(repo, "").size();
  parts.database.scan(Family::Head, keys::ref(repo, std::string(name) + "/"),
                      [&](std::string_view key, std::string_view) {
                        visit(key.substr(start));
                        return true;
                      });
}

std::string reference_of(const Publication& publication, const FileRecord& file) {
  return keys::reference(*file.object, publication.repository.id, publication.revision.commit,
                         file.path);
}

// Publishing a revision again replaces its listing: rows that the new one does not have go.
void erase_outdated_files(Batch& batch, const CatalogParts& parts, const Publication& publication) {
  const auto prefix = keys::of_revision(publication.repository.id, publication.revision.commit, "");
  const auto revision =
      keys::revision(publication.repository.id, to_hex(publication.revision.commit));
  if (!parts.database.contains(Family::Head, revision)) return;
  std::map<std::string_view, const FileRecord*> listed;
  for (const FileRecord& file : publication.files) listed.emplace(file.path, &file);
  parts.database.scan(Family::Tree, prefix, [&](std::string_view key, std::string_view row) {
    const FileRecord old = decode_file(key.substr(prefix.size()), row);
    const auto now = listed.find(old.path);
    if (now == listed.end()) batch.erase(Family::Tree, key);
    if (old.object && (now == listed.end() || now->second->object != old.object))
      batch.erase(Family::Ref, reference_of(publication, old));
    return true;
  });
}

void add_files(Batch& batch, const CatalogParts& parts, const Publication& publication) {
  std::unordered_set<Digest> released;
  for (const FileRecord& file : publication.files) {
    const auto key =
        keys::of_revision(publication.repository.id, publication.revision.commit, file.path);
    batch.put(Family::Tree, key, encode_file(file));
    if (!file.object) continue;
    batch.put(Family::Ref, reference_of(publication, file), "");
    // A regular file's bytes are those of its git blob.
    if (!file.lfs) put_git_alias(batch, parts, file.blob, *file.object);
    revive(batch, parts, *file.object);
    if (released.insert(*file.object).second) parts.leases.drop(batch, put_lease_key(*file.object));
  }
}

// What the record says that was read a while ago is no news of a repository that is there.
RepositoryRecord merged_repository(const CatalogParts& parts, const Publication& publication) {
  RepositoryRecord record = publication.repository;
  const auto row = parts.database.get(Family::Head, keys::repository(to_text(record.id)));
  if (!row) return record;
  RepositoryRecord old = decode_repository(*row);
  record.created_at = old.created_at;
  old.updated_at = record.updated_at;
  return publication.into_existing ? old : record;
}

}  // namespace

void put_git_alias(Batch& batch, const CatalogParts& parts, const GitOid& blob,
                   const Digest& object) {
  const auto row = parts.database.get(Family::Git, keys::git(blob));
  if (!row || !decode_git(*row).object)
    batch.put(Family::Git, keys::git(blob), encode_git_alias(object));
}

void check_distinct(std::span<const Publication> publications) {
  if (publications.size() > kPublicationsMax)
    fail(ErrorKind::LimitExceeded, "publish: expected at most " + std::to_string(kPublicationsMax) +
                                       " repositories at once, found " +
                                       std::to_string(publications.size()));
  if (publications.size() < 2) return;
  std::unordered_set<std::string> seen;
  for (const Publication& publication : publications) {
    const std::string name = where(publication);
    if (!seen.insert(name).second)
      fail(ErrorKind::Invalid, name + ": expected once in one call, found twice");
  }
}

void check_publication(const CatalogParts& parts, const Publication& publication) {
  const auto revision =
      keys::revision(publication.repository.id, to_hex(publication.revision.commit));
  if (publication.only_new && parts.database.contains(Family::Head, revision))
    fail(ErrorKind::Conflict, where(publication) + ": expected to be new, found it published");
  if (publication.into_existing) check_still_there(parts, publication);
  for (const FileRecord& file : publication.files) check_file(parts, publication, file);
  check_refs(parts, publication.repository.id, publication.refs, &publication.revision.commit);
  check_expected(parts, publication.repository.id, publication.expected_refs);
}

void add_publication(Batch& batch, const CatalogParts& parts, const Publication& publication) {
  const RepoId& repo = publication.repository.id;
  const GitOid& commit = publication.revision.commit;
  erase_outdated_files(batch, parts, publication);
  add_files(batch, parts, publication);
  for (const auto& [oid, object] : publication.git_objects)
    batch.put(Family::Git, keys::git(oid), encode_git(object));
  batch.put(Family::Head, keys::repository(to_text(repo)),
            encode_repository(merged_repository(parts, publication)));
  batch.put(Family::Head, keys::revision(repo, to_hex(commit)),
            encode_revision(publication.revision));
  for (const Ref& ref : publication.refs) {
    if (ref.commit == GitOid{})
      add_ref(batch, parts, repo, ref);
    else
      batch.put(Family::Head, keys::ref(repo, ref.name), encode_oid(ref.commit));
  }
  if (publication.evidence)
    batch.put(Family::Evidence, keys::evidence(repo, commit),
              to_text(Json(publication.evidence->record)));
  for (const auto& [key, value] : publication.facts)
    batch.put(Family::Fact, keys::of_revision(repo, commit, key), to_text(value));
  for (const std::string& key : publication.leases) parts.leases.drop(batch, key);
  add_audit(batch, parts,
            {{"event", "publish"}, {"repo", to_text(repo)}, {"commit", to_hex(commit)}});
}

void check_expected(const CatalogParts& parts, const RepoId& repo, std::span<const Ref> expected) {
  for (const Ref& ref : expected) {
    const auto row = parts.database.get(Family::Head, keys::ref(repo, ref.name));
    const GitOid now = row ? decode_oid(*row) : GitOid{};
    if (now == ref.commit) continue;
    fail(ErrorKind::Conflict, to_text(repo) + ": ref \"" + ref.name + "\": expected " +
                                  to_hex(ref.commit) + ", found " + to_hex(now));
  }
}

void check_places(const CatalogParts& parts, const RepoId& repo, std::span<const Ref> refs) {
  std::set<std::string_view> going;
  std::vector<std::string_view> coming;
  for (const Ref& ref : refs) {
    if (ref.commit == GitOid{})
      going.insert(ref.name);
    else if (!parts.database.contains(Family::Head, keys::ref(repo, ref.name)))
      coming.push_back(ref.name);
  }
  for (const std::string_view name : coming) {
    for_each_in_way(parts, repo, name, [&](std::string_view other) {
      if (!going.contains(other)) fail_in_way(repo, name, other);
    });
    const auto other = std::ranges::find_if(
        coming, [&](std::string_view made) { return !can_be_beside(name, made); });
    if (other != coming.end()) fail_in_way(repo, name, *other);
  }
}

void check_refs(const CatalogParts& parts, const RepoId& repo, std::span<const Ref> refs,
                const GitOid* arriving) {
  for (const Ref& ref : refs) {
    if (ref.commit == GitOid{}) continue;
    const std::string named = to_text(repo) + ": ref \"" + ref.name + "\"";
    if (!ref.name.starts_with("refs/") || ref.name.size() > kRefNameMax)
      fail(ErrorKind::Invalid, named + ": expected a name that starts with refs/");
    if (arriving != nullptr && ref.commit == *arriving) continue;
    if (!parts.database.contains(Family::Head, keys::revision(repo, to_hex(ref.commit))))
      fail(ErrorKind::NotFound, named + ": commit " + to_hex(ref.commit) + ": not stored");
  }
}

void add_ref(Batch& batch, const CatalogParts& parts, const RepoId& repo, const Ref& ref) {
  const std::string key = keys::ref(repo, ref.name);
  const bool removed = ref.commit == GitOid{};
  if (removed)
    batch.erase(Family::Head, key);
  else
    batch.put(Family::Head, key, encode_oid(ref.commit));
  add_audit(batch, parts,
            {{"event", removed ? "remove_ref" : "set_ref"},
             {"repo", to_text(repo)},
             {"ref", ref.name},
             {"commit", to_hex(ref.commit)}});
}

void add_audit(Batch& batch, const CatalogParts& parts, const Json::Object& event) {
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(parts.clock.now().time_since_epoch());
  batch.put(Family::Audit,
            keys::audit(static_cast<std::uint64_t>(now.count()), parts.numbers.next()),
            to_text(Json(event)));
}

}  // namespace holdfast::storage
