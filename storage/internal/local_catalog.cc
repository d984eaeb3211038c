#include "storage/internal/local_catalog.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "storage/base/error.h"
#include "storage/internal/catalog_rows.h"
#include "storage/internal/changes.h"
#include "storage/internal/keys.h"
#include "storage/internal/local_care.h"
#include "storage/internal/publish.h"
#include "storage/internal/removal.h"
#include "storage/internal/renaming.h"
#include "storage/limits.h"

namespace holdfast::storage {
namespace {

constexpr std::size_t kShortCommitMin = 7;
constexpr std::size_t kCommitDigits = 40;

bool is_hex(std::string_view text) noexcept {
  return text.find_first_not_of("0123456789abcdefABCDEF") == text.npos;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

class LocalCatalog final : public Catalog, public ChangeFeed {
 public:
  explicit LocalCatalog(const CatalogParts& parts) : parts_(parts) {}

  std::vector<Change> changes(std::uint64_t after, std::size_t limit) const override {
    return read_changes(parts_.database, after, limit);
  }

  void note_unnoted() {
    const std::lock_guard lock(writing_);
    note_unnoted_repositories(parts_);
  }

  std::optional<RepositoryRecord> find_repository(const RepoId& id) const override;
  std::vector<RepositoryRecord> list_repositories(const ListQuery& query) const override;
  std::vector<Ref> refs(const RepoId& id) const override;
  std::optional<GitOid> resolve(const RepoId& id, std::string_view revision) const override;
  std::optional<RevisionRecord> find_revision(const RepoId& id,
                                              const GitOid& commit) const override;
  std::vector<RevisionRecord> revisions(const RepoId& id) const override;
  std::optional<FileRecord> find_file(const RepoId& id, const GitOid& commit,
                                      std::string_view path) const override;
  std::vector<FileRecord> files(const RepoId& id, const GitOid& commit,
                                std::string_view directory) const override;
  std::optional<std::pair<GitOid, FileRecord>> find_use(const RepoId& id,
                                                        const Digest& object) const override;
  std::optional<GitObjectRecord> find_git_object(const GitOid& oid) const override;
  std::optional<Digest> find_blob_object(const GitOid& blob) const override;
  void remember_blobs(std::span<const std::pair<GitOid, Digest>> blobs) override;
  void publish_all(std::span<const Publication> publications) override;

  void set_refs(const RepoId& id, std::span<const Ref> refs) override { change_refs(id, {}, refs); }

  void change_refs(const RepoId& id, std::span<const Ref> expected,
                   std::span<const Ref> refs) override;
  void rename(const RepoId& from, const RepoId& to) override;
  Removal remove(const RepoId& id, const std::optional<GitOid>& commit) override;
  bool expire(const RepoId& id, const GitOid& commit) override;
  std::size_t expire_unreachable(const RepoId& id) override;
  void put_facts(const RepoId& id, const GitOid& commit,
                 std::span<const std::pair<std::string, Json>> facts) override;
  std::optional<Json> find_fact(const RepoId& id, const GitOid& commit,
                                std::string_view key) const override;
  void change_fact(const RepoId& id, const GitOid& commit, std::string_view key,
                   const FactChange& change) override;
  std::vector<std::pair<std::string, Json>> facts(const RepoId& id, const GitOid& commit,
                                                  std::string_view prefix) const override;
  std::optional<Evidence> find_evidence(const RepoId& id, const GitOid& commit) const override;
  void put_holes(std::span<const Hole> holes) override;
  void clear_hole(const RepoId& id, const GitOid& commit, std::string_view path) override;

  std::vector<Hole> holes() const override { return holes_below(""); }

  std::vector<Hole> holes(const RepoId& id) const override {
    return holes_below(to_text(id) + '\0');
  }

 private:
  std::vector<Hole> holes_below(std::string_view prefix) const;
  std::optional<GitOid> find_ref(const RepoId& id, std::string_view name) const;
  std::optional<GitOid> find_short_commit(const RepoId& id, std::string_view digits) const;

  CatalogParts parts_;
  // Held across the batch on purpose: what publish() and set_refs() checked stays true until their
  // rows are written. Readers never take it.
  std::mutex writing_;
  // Likewise for what facts become; apart, for a fact waits for no publication.
  std::mutex changing_facts_;
};

std::optional<RepositoryRecord> LocalCatalog::find_repository(const RepoId& id) const {
  const auto row = parts_.database.get(Family::Head, keys::repository(to_text(id)));
  if (!row) return std::nullopt;
  return decode_repository(*row);
}

std::vector<RepositoryRecord> LocalCatalog::list_repositories(const ListQuery& query) const {
  std::string prefix = std::string(to_text(query.kind)) + "/";
  std::string from;
  if (!query.after.empty()) from = keys::repository(prefix + query.after);
  if (!query.owner.empty()) prefix += query.owner + "/";
  const std::string first = keys::repository(prefix);
  std::vector<RepositoryRecord> found;
  const auto visit = [&](std::string_view key, std::string_view row) {
    if (found.size() == query.limit) return false;
    if (key != from) found.push_back(decode_repository(row));
    return true;
  };
  // `after` may lie before the owner's first repository, and then says nothing.
  parts_.database.scan(Family::Head, first, visit, std::max(from, first));
  return found;
}

std::vector<Ref> LocalCatalog::refs(const RepoId& id) const {
  std::vector<Ref> found;
  const std::string prefix = keys::ref(id, "");
  parts_.database.scan(Family::Head, prefix, [&](std::string_view key, std::string_view row) {
    found.push_back({.name = std::string(key.substr(prefix.size())), .commit = decode_oid(row)});
    return true;
  });
  return found;
}

std::optional<GitOid> LocalCatalog::find_ref(const RepoId& id, std::string_view name) const {
  if (name.size() > kRefNameMax || name.find('\0') != name.npos) return std::nullopt;
  const auto row = parts_.database.get(Family::Head, keys::ref(id, name));
  if (!row) return std::nullopt;
  return decode_oid(*row);
}

// Refs point at visible revisions only, so a ref that exists needs no second look.
std::optional<GitOid> LocalCatalog::resolve(const RepoId& id, std::string_view revision) const {
  if (revision.size() == kCommitDigits)
    if (const auto commit = parse_git_oid(revision); commit && find_revision(id, *commit))
      return commit;
  if (revision == "HEAD") {
    const auto repository = find_repository(id);
    if (!repository) return std::nullopt;
    return find_ref(id, "refs/heads/" + repository->default_branch);
  }
  if (revision.starts_with("refs/")) return find_ref(id, revision);
  const std::string name(revision);
  if (const auto branch = find_ref(id, "refs/heads/" + name)) return branch;
  if (const auto tag = find_ref(id, "refs/tags/" + name)) return tag;
  return find_short_commit(id, revision);
}

std::optional<GitOid> LocalCatalog::find_short_commit(const RepoId& id,
                                                      std::string_view digits) const {
  if (digits.size() < kShortCommitMin || digits.size() > kCommitDigits || !is_hex(digits))
    return std::nullopt;
  const std::string prefix = keys::revision(id, lower(digits));
  std::vector<GitOid> found;
  parts_.database.scan(Family::Head, prefix, [&](std::string_view key, std::string_view) {
    if (const auto commit = parse_git_oid(key.substr(key.size() - kCommitDigits)))
      found.push_back(*commit);
    return found.size() < 2;
  });
  return found.size() == 1 ? std::optional(found.front()) : std::nullopt;
}

std::optional<RevisionRecord> LocalCatalog::find_revision(const RepoId& id,
                                                          const GitOid& commit) const {
  const auto row = parts_.database.get(Family::Head, keys::revision(id, to_hex(commit)));
  if (!row) return std::nullopt;
  return decode_revision(*row);
}

std::vector<RevisionRecord> LocalCatalog::revisions(const RepoId& id) const {
  std::vector<RevisionRecord> found;
  parts_.database.scan(Family::Head, keys::revision(id, ""),
                       [&](std::string_view, std::string_view row) {
                         found.push_back(decode_revision(row));
                         return true;
                       });
  std::ranges::sort(found, std::greater(), [](const RevisionRecord& record) {
    return std::tuple(record.time, record.stored_at, record.commit);
  });
  return found;
}

std::optional<FileRecord> LocalCatalog::find_file(const RepoId& id, const GitOid& commit,
                                                  std::string_view path) const {
  if (path.find('\0') != path.npos) return std::nullopt;
  rocksdb::PinnableSlice row;
  if (!parts_.database.get(Family::Tree, keys::of_revision(id, commit, path), row))
    return std::nullopt;
  return decode_file(path, {row.data(), row.size()});
}

std::vector<FileRecord> LocalCatalog::files(const RepoId& id, const GitOid& commit,
                                            std::string_view directory) const {
  const std::string base = keys::of_revision(id, commit, "");
  std::string prefix = base + std::string(directory);
  if (!directory.empty() && !directory.ends_with('/')) prefix.push_back('/');
  std::vector<FileRecord> found;
  parts_.database.scan(Family::Tree, prefix, [&](std::string_view key, std::string_view row) {
    found.push_back(decode_file(key.substr(base.size()), row));
    return true;
  });
  return found;
}

std::optional<GitObjectRecord> LocalCatalog::find_git_object(const GitOid& oid) const {
  const auto row = parts_.database.get(Family::Git, keys::git(oid));
  if (!row) return std::nullopt;
  GitRow git = decode_git(*row);
  if (git.object) return std::move(git.object);
  if (!parts_.blobs.find(*git.same_bytes)) return std::nullopt;
  return GitObjectRecord{.type = "blob",
                         .bytes = read_object(parts_.blobs, *git.same_bytes, kGitBlobMax)};
}

std::optional<std::pair<GitOid, FileRecord>> LocalCatalog::find_use(const RepoId& id,
                                                                    const Digest& object) const {
  std::optional<std::pair<GitOid, FileRecord>> found;
  const auto visit = [&](std::string_view key, std::string_view) {
    const Reference reference = parse_reference(key);
    const auto commit = parse_git_oid(reference.commit);
    // The row may be older than a removal that happens meanwhile.
    const auto file = commit ? find_file(id, *commit, reference.path) : std::nullopt;
    if (file) found.emplace(*commit, *file);
    return !found;
  };
  parts_.database.scan(Family::Ref, keys::references(object, id), visit);
  return found;
}

std::optional<Digest> LocalCatalog::find_blob_object(const GitOid& blob) const {
  const auto row = parts_.database.get(Family::Git, keys::git(blob));
  if (!row) return std::nullopt;
  const GitRow git = decode_git(*row);
  std::optional<Digest> object = git.same_bytes;
  if (git.object && git.object->type == "blob") object = sha256(as_bytes(git.object->bytes));
  if (!object || !parts_.blobs.find(*object)) return std::nullopt;
  return object;
}

void LocalCatalog::remember_blobs(std::span<const std::pair<GitOid, Digest>> blobs) {
  Batch batch(parts_.database);
  for (const auto& [blob, object] : blobs) put_git_alias(batch, parts_, blob, object);
  parts_.database.write(batch);
}

void LocalCatalog::publish_all(std::span<const Publication> publications) {
  check_distinct(publications);
  const std::lock_guard lock(writing_);
  const std::shared_lock gate(parts_.gate);
  Batch batch(parts_.database);
  std::map<RepoId, std::vector<Ref>> changed;
  for (const Publication& publication : publications) {
    check_publication(parts_, publication);
    add_publication(batch, parts_, publication);
    std::vector<Ref>& refs = changed[publication.repository.id];
    refs.insert(refs.end(), publication.refs.begin(), publication.refs.end());
  }
  // Once each: a change looks for the one before in what is written, not in the batch.
  for (const auto& [repo, refs] : changed) {
    check_places(parts_, repo, refs);
    note_change(batch, parts_, repo);
  }
  parts_.database.write(batch);
  ++parts_.generation;
}

void LocalCatalog::change_refs(const RepoId& id, std::span<const Ref> expected,
                               std::span<const Ref> refs) {
  const std::lock_guard lock(writing_);
  check_expected(parts_, id, expected);
  check_refs(parts_, id, refs, nullptr);
  check_places(parts_, id, refs);
  Batch batch(parts_.database);
  for (const Ref& ref : refs) add_ref(batch, parts_, id, ref);
  if (!refs.empty()) note_change(batch, parts_, id);
  parts_.database.write(batch);
  ++parts_.generation;
}

void LocalCatalog::rename(const RepoId& from, const RepoId& to) {
  const std::lock_guard lock(writing_);
  const std::shared_lock gate(parts_.gate);
  Batch batch(parts_.database);
  add_renaming(batch, parts_, from, to);
  parts_.database.write(batch);
  ++parts_.generation;
}

Removal LocalCatalog::remove(const RepoId& id, const std::optional<GitOid>& commit) {
  const std::lock_guard lock(writing_);
  const std::shared_lock gate(parts_.gate);  // fsck mends the rows that go here
  Batch batch(parts_.database);
  const Removal removal = add_removal(batch, parts_, id, commit);
  parts_.database.write(batch);
  ++parts_.generation;
  return removal;
}

bool LocalCatalog::expire(const RepoId& id, const GitOid& commit) {
  const std::lock_guard lock(writing_);
  const auto all = revisions(id);
  const auto names_it = [&](const Ref& ref) { return ref.commit == commit; };
  const bool held = std::ranges::find(all, commit, &RevisionRecord::commit) != all.end();
  if (!held || all.size() == 1 || std::ranges::any_of(refs(id), names_it)) return false;
  const std::shared_lock gate(parts_.gate);
  Batch batch(parts_.database);
  add_removal(batch, parts_, id, commit);
  parts_.database.write(batch);
  ++parts_.generation;
  return true;
}

std::size_t LocalCatalog::expire_unreachable(const RepoId& id) {
  const std::lock_guard lock(writing_);
  const std::shared_lock gate(parts_.gate);
  Batch batch(parts_.database);
  const std::vector<GitOid> lost = find_unreachable(*this, id);
  if (lost.empty()) return 0;
  add_expiry(batch, parts_, id, lost);
  parts_.database.write(batch);
  ++parts_.generation;
  return lost.size();
}

void LocalCatalog::put_facts(const RepoId& id, const GitOid& commit,
                             std::span<const std::pair<std::string, Json>> facts) {
  // What is said of the repository itself is no change of it, and waits for nobody.
  const bool noted = commit != GitOid{};
  std::unique_lock lock(writing_, std::defer_lock);
  if (noted) lock.lock();
  Batch batch(parts_.database);
  for (const auto& [key, value] : facts)
    batch.put(Family::Fact, keys::of_revision(id, commit, key), to_text(value));
  if (noted) note_change(batch, parts_, id);
  parts_.database.write(batch);
}

std::optional<Json> LocalCatalog::find_fact(const RepoId& id, const GitOid& commit,
                                            std::string_view key) const {
  const auto row = parts_.database.get(Family::Fact, keys::of_revision(id, commit, key));
  if (!row) return std::nullopt;
  return parse_json(*row, "fact row");
}

void LocalCatalog::change_fact(const RepoId& id, const GitOid& commit, std::string_view key,
                               const FactChange& change) {
  const std::lock_guard lock(changing_facts_);
  const std::pair<std::string, Json> row(key, change(find_fact(id, commit, key)));
  put_facts(id, commit, {&row, 1});
}

std::vector<std::pair<std::string, Json>> LocalCatalog::facts(const RepoId& id,
                                                              const GitOid& commit,
                                                              std::string_view prefix) const {
  const std::string base = keys::of_revision(id, commit, "");
  std::vector<std::pair<std::string, Json>> found;
  parts_.database.scan(
      Family::Fact, base + std::string(prefix), [&](std::string_view key, std::string_view row) {
        found.emplace_back(std::string(key.substr(base.size())), parse_json(row, "fact row"));
        return true;
      });
  return found;
}

std::optional<Evidence> LocalCatalog::find_evidence(const RepoId& id, const GitOid& commit) const {
  const auto row = parts_.database.get(Family::Evidence, keys::evidence(id, commit));
  if (!row) return std::nullopt;
  return Evidence{.record = parse_json(*row, "evidence row").as_object("evidence row")};
}

void LocalCatalog::put_holes(std::span<const Hole> holes) {
  Batch batch(parts_.database);
  for (const Hole& hole : holes)
    batch.put(Family::Hole, keys::of_revision(hole.repo, hole.commit, hole.path),
              encode_hole(hole));
  parts_.database.write(batch);
}

void LocalCatalog::clear_hole(const RepoId& id, const GitOid& commit, std::string_view path) {
  Batch batch(parts_.database);
  batch.erase(Family::Hole, keys::of_revision(id, commit, path));
  parts_.database.write(batch);
}

std::vector<Hole> LocalCatalog::holes_below(std::string_view prefix) const {
  std::vector<Hole> found;
  parts_.database.scan(Family::Hole, prefix, [&](std::string_view key, std::string_view row) {
    found.push_back(decode_hole(key, row));
    return true;
  });
  return found;
}

}  // namespace

std::unique_ptr<Catalog> make_local_catalog(const CatalogParts& parts) {
  return std::make_unique<LocalCatalog>(parts);
}

const ChangeFeed* find_change_feed(Catalog& catalog) {
  auto* local = dynamic_cast<LocalCatalog*>(&catalog);
  if (local != nullptr) local->note_unnoted();
  return local;
}

}  // namespace holdfast::storage
