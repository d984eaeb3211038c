#include "web/internal/arriving_store.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::web {
namespace {

using storage::ArrivingRevision;
using storage::FileRecord;
using storage::RepoId;

class ArrivingBlobs final : public storage::BlobStore {
 public:
  ArrivingBlobs(BlobStore& base, ArrivingRevision& arriving) : base_(base), arriving_(arriving) {}

  std::optional<std::uint64_t> find(const Digest& digest) const override {
    if (const auto size = base_.find(digest)) return size;
    const auto& files = arriving_.files();
    const auto file = std::ranges::find(files, digest, &FileRecord::object);
    if (file == files.end()) return std::nullopt;
    return file->size_bytes;
  }

  std::unique_ptr<storage::BlobReader> open(const Digest& digest) const override {
    return base_.find(digest) ? base_.open(digest) : arriving_.open(digest);
  }

  bool is_leased(std::string_view key_prefix, const Digest& digest) const override {
    return base_.is_leased(key_prefix, digest);
  }

  std::unique_ptr<storage::BlobWriter> create(const storage::WriteIntent& intent) override {
    return base_.create(intent);
  }

  Digest put(std::span<const std::byte> bytes) override { return base_.put(bytes); }

  std::vector<Digest> put_all(std::span<const std::span<const std::byte>> objects) override {
    return base_.put_all(objects);
  }

 private:
  BlobStore& base_;
  ArrivingRevision& arriving_;
};

// Reads see the arriving revision first; everything else is the catalog's.
class ArrivingCatalog final : public storage::Catalog {
 public:
  ArrivingCatalog(Catalog& base, ArrivingRevision& arriving, std::string_view asked)
      : base_(base), arriving_(arriving), asked_(asked) {}

  std::optional<storage::RepositoryRecord> find_repository(const RepoId& id) const override {
    if (is_ours(id)) return arriving_.repository();
    return base_.find_repository(id);
  }

  std::vector<storage::RepositoryRecord> list_repositories(const ListQuery& query) const override {
    return base_.list_repositories(query);
  }

  std::vector<storage::Ref> refs(const RepoId& id) const override {
    if (!is_ours(id)) return base_.refs(id);
    std::vector<storage::Ref> all = arriving_.refs();
    for (storage::Ref& ref : base_.refs(id)) {
      if (std::ranges::find(all, ref.name, &storage::Ref::name) == all.end()) {
        all.push_back(std::move(ref));
      }
    }
    std::ranges::sort(all, {}, &storage::Ref::name);
    return all;
  }

  std::optional<GitOid> resolve(const RepoId& id, std::string_view revision) const override {
    if (is_ours(id)) {
      const bool by_default = revision == "HEAD" && arriving_.answers_to("");
      if (revision == asked_ || by_default || arriving_.answers_to(revision)) return commit();
    }
    return base_.resolve(id, revision);
  }

  std::optional<storage::RevisionRecord> find_revision(const RepoId& id,
                                                       const GitOid& at) const override {
    if (is_ours(id, at)) return arriving_.revision();
    return base_.find_revision(id, at);
  }

  std::vector<storage::RevisionRecord> revisions(const RepoId& id) const override {
    auto all = base_.revisions(id);
    if (is_ours(id)) all.insert(all.begin(), arriving_.revision());
    return all;
  }

  std::optional<FileRecord> find_file(const RepoId& id, const GitOid& at,
                                      std::string_view path) const override {
    if (!is_ours(id, at)) return base_.find_file(id, at, path);
    const auto& all = arriving_.files();
    const auto file = std::ranges::find(all, path, &FileRecord::path);
    if (file == all.end()) return std::nullopt;
    return *file;
  }

  std::vector<FileRecord> files(const RepoId& id, const GitOid& at,
                                std::string_view directory) const override {
    if (!is_ours(id, at)) return base_.files(id, at, directory);
    const std::string prefix = directory.empty() ? "" : std::string(directory) + "/";
    std::vector<FileRecord> below;
    for (const FileRecord& file : arriving_.files()) {
      if (file.path.starts_with(prefix)) below.push_back(file);
    }
    return below;
  }

  std::optional<std::pair<GitOid, FileRecord>> find_use(const RepoId& id,
                                                        const Digest& object) const override {
    return base_.find_use(id, object);
  }

  std::optional<storage::GitObjectRecord> find_git_object(const GitOid& oid) const override {
    if (auto object = arriving_.find_git_object(oid)) return object;
    return base_.find_git_object(oid);
  }

  std::optional<Digest> find_blob_object(const GitOid& blob) const override {
    return base_.find_blob_object(blob);
  }

  void remember_blobs(std::span<const std::pair<GitOid, Digest>> blobs) override {
    base_.remember_blobs(blobs);
  }

  void publish_all(std::span<const storage::Publication> publications) override {
    base_.publish_all(publications);
  }

  void set_refs(const RepoId& id, std::span<const storage::Ref> refs) override {
    base_.set_refs(id, refs);
  }

  void change_refs(const RepoId& id, std::span<const storage::Ref> expected,
                   std::span<const storage::Ref> refs) override {
    base_.change_refs(id, expected, refs);
  }

  void rename(const RepoId& from, const RepoId& to) override { base_.rename(from, to); }

  storage::Removal remove(const RepoId& id, const std::optional<GitOid>& at) override {
    return base_.remove(id, at);
  }

  bool expire(const RepoId& id, const GitOid& at) override { return base_.expire(id, at); }

  std::size_t expire_unreachable(const RepoId& id) override { return base_.expire_unreachable(id); }

  void put_facts(const RepoId& id, const GitOid& at,
                 std::span<const std::pair<std::string, Json>> facts) override {
    base_.put_facts(id, at, facts);
  }

  std::optional<Json> find_fact(const RepoId& id, const GitOid& at,
                                std::string_view key) const override {
    return base_.find_fact(id, at, key);
  }

  void change_fact(const RepoId& id, const GitOid& at, std::string_view key,
                   const FactChange& change) override {
    base_.change_fact(id, at, key, change);
  }

  std::vector<std::pair<std::string, Json>> facts(const RepoId& id, const GitOid& at,
                                                  std::string_view prefix) const override {
    return base_.facts(id, at, prefix);
  }

  std::optional<storage::Evidence> find_evidence(const RepoId& id,
                                                 const GitOid& at) const override {
    return base_.find_evidence(id, at);
  }

  void put_holes(std::span<const storage::Hole> holes) override { base_.put_holes(holes); }

  void clear_hole(const RepoId& id, const GitOid& at, std::string_view path) override {
    base_.clear_hole(id, at, path);
  }

  std::vector<storage::Hole> holes() const override { return base_.holes(); }

  std::vector<storage::Hole> holes(const RepoId& id) const override { return base_.holes(id); }

 private:
  const GitOid& commit() const noexcept { return arriving_.revision().commit; }

  bool is_ours(const RepoId& id) const { return id == arriving_.repository().id; }

  bool is_ours(const RepoId& id, const GitOid& at) const { return is_ours(id) && at == commit(); }

  Catalog& base_;
  ArrivingRevision& arriving_;
  std::string asked_;
};

class ArrivingStore final : public storage::Store {
 public:
  ArrivingStore(Store& base, std::shared_ptr<ArrivingRevision> arriving, std::string_view asked)
      : base_(base),
        arriving_(std::move(arriving)),
        blobs_(base.blobs(), *arriving_),
        catalog_(base.catalog(), *arriving_, asked) {}

  storage::BlobStore& blobs() override { return blobs_; }

  storage::Catalog& catalog() override { return catalog_; }

  storage::JobQueue& jobs() override { return base_.jobs(); }

  const std::filesystem::path& directory() const override { return base_.directory(); }

  std::uint64_t generation() const noexcept override { return base_.generation(); }

 private:
  Store& base_;
  std::shared_ptr<ArrivingRevision> arriving_;  // shared with the pull and other requests
  ArrivingBlobs blobs_;
  ArrivingCatalog catalog_;
};

}  // namespace

std::unique_ptr<storage::Store> make_arriving_store(storage::Store& base,
                                                    std::shared_ptr<ArrivingRevision> arriving,
                                                    std::string_view asked) {
  return std::make_unique<ArrivingStore>(base, std::move(arriving), asked);
}

}  // namespace holdfast::web
