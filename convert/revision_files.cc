#include "convert/revision_files.h"

#include <algorithm>
#include <variant>

#include <fcntl.h>

#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

class StoredFile final : public ModelFile {
 public:
  StoredFile(std::string name, const Digest& object, std::unique_ptr<storage::BlobReader> reader)
      : name_(std::move(name)), object_(object), reader_(std::move(reader)) {}

  std::string version() const override { return to_hex(object_); }

  std::uint64_t size_bytes() const noexcept override { return reader_->size_bytes(); }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    const std::uint64_t size = reader_->size_bytes();
    if (offset > size || out.size() > size - offset) {
      fail(ErrorKind::Corrupt, name_ + ": ends at byte " + std::to_string(size) + ", but bytes " +
                                   std::to_string(offset) + " to " +
                                   std::to_string(offset + out.size()) + " are wanted");
    }
    reader_->read(offset, out);
  }

  void will_read(storage::ByteRange range) const override {
    for (const storage::Extent& extent : reader_->extents(range)) {
      const auto* file = std::get_if<storage::FileExtent>(&extent);
      if (file == nullptr) continue;
      ::posix_fadvise(file->fd, static_cast<off_t>(file->offset), static_cast<off_t>(file->length),
                      POSIX_FADV_WILLNEED);
    }
  }

 private:
  std::string name_;
  Digest object_;
  std::unique_ptr<storage::BlobReader> reader_;
};

class RevisionFiles final : public ModelFiles {
 public:
  RevisionFiles(storage::Store& store, const storage::RepoId& repo, const GitOid& commit)
      : store_(store), repo_(repo) {
    if (!store.catalog().find_revision(repo, commit)) {
      fail(ErrorKind::NotFound, repo.full_name() + "@" + to_hex(commit) + ": no such revision");
    }
    files_ = store.catalog().files(repo, commit, "");
    std::erase_if(files_, [](const storage::FileRecord& file) { return !file.object; });
    std::ranges::sort(files_, {}, &storage::FileRecord::path);
  }

  std::string model_name() const override { return repo_.name; }

  std::vector<std::string> paths() const override {
    std::vector<std::string> paths;
    for (const storage::FileRecord& file : files_) paths.push_back(file.path);
    return paths;
  }

  bool has(std::string_view path) const override { return find(path) != nullptr; }

  std::unique_ptr<ModelFile> open(std::string_view path) const override {
    const storage::FileRecord* file = find(path);
    if (file == nullptr) {
      fail(ErrorKind::NotFound, repo_.full_name() + ": " + std::string(path) + ": not stored");
    }
    return std::make_unique<StoredFile>(file->path, *file->object,
                                        store_.blobs().open(*file->object));
  }

 private:
  const storage::FileRecord* find(std::string_view path) const {
    const auto found = std::ranges::lower_bound(files_, path, {}, &storage::FileRecord::path);
    return found != files_.end() && found->path == path ? &*found : nullptr;
  }

  storage::Store& store_;
  storage::RepoId repo_;
  std::vector<storage::FileRecord> files_;
};

}  // namespace

std::unique_ptr<ModelFiles> open_revision(storage::Store& store, const storage::RepoId& repo,
                                          const GitOid& commit) {
  return std::make_unique<RevisionFiles>(store, repo, commit);
}

}  // namespace holdfast::convert
