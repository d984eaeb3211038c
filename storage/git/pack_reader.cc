#include "storage/git/pack_reader.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>

#include <git2.h>
#include <git2/sys/odb_backend.h>
#include <stdlib.h>

#include "storage/base/error.h"
#include "storage/git/pack_scan.h"

namespace holdfast::storage::git {
namespace {

// A folder under the system's temporary directory.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "holdfast-pack-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) fail(ErrorKind::Io, name + ": cannot be made");
    path_ = name;
  }

  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

struct Library {
  Library() { git_libgit2_init(); }

  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  ~Library() { git_libgit2_shutdown(); }
};

void check(int result, const char* what) {
  if (result >= 0) return;
  const git_error* error = git_error_last();
  fail(ErrorKind::Corrupt, std::string("git pack: ") + what + ": " +
                               (error != nullptr ? error->message : "unknown error"));
}

std::optional<ObjectType> type_of(git_object_t type) noexcept {
  switch (type) {
    case GIT_OBJECT_COMMIT:
      return ObjectType::Commit;
    case GIT_OBJECT_TREE:
      return ObjectType::Tree;
    case GIT_OBJECT_BLOB:
      return ObjectType::Blob;
    case GIT_OBJECT_TAG:
      return ObjectType::Tag;
    default:
      return std::nullopt;
  }
}

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using Indexer = std::unique_ptr<git_indexer, Freed<git_indexer_free>>;
using Database = std::unique_ptr<git_odb, Freed<git_odb_free>>;
using RawObject = std::unique_ptr<git_odb_object, Freed<git_odb_object_free>>;

git_oid to_libgit2(const GitOid& oid) noexcept {
  git_oid out;
  std::memcpy(out.id, oid.bytes.data(), oid.bytes.size());
  return out;
}

}  // namespace

struct PackReader::State {
  Library library;  // first: outlives what it made
  TemporaryFolder folder;
  PackScan scan;
  Indexer indexer;
  git_indexer_progress progress{};
  Database database;
  std::uint64_t bytes_left = 0;
};

PackReader::PackReader(std::uint64_t bytes_max) : state_(std::make_unique<State>()) {
  state_->bytes_left = bytes_max;
  git_indexer* indexer = nullptr;
  check(git_indexer_new(&indexer, state_->folder.path().c_str(), 0600, nullptr, nullptr), "start");
  state_->indexer.reset(indexer);
}

PackReader::~PackReader() = default;

void PackReader::add(std::span<const std::byte> bytes) {
  if (bytes.size() > state_->bytes_left) {
    fail(ErrorKind::LimitExceeded, "git pack: longer than allowed");
  }
  state_->bytes_left -= bytes.size();
  state_->scan.add(bytes);
  check(git_indexer_append(state_->indexer.get(), bytes.data(), bytes.size(), &state_->progress),
        "read");
}

void PackReader::finish() {
  state_->scan.finish();
  check(git_indexer_commit(state_->indexer.get(), &state_->progress), "index");
  const std::filesystem::path index =
      state_->folder.path() /
      ("pack-" + std::string(git_indexer_name(state_->indexer.get())) + ".idx");
  git_odb* database = nullptr;
  check(git_odb_new(&database), "open");
  state_->database.reset(database);
  git_odb_backend* backend = nullptr;
  check(git_odb_backend_one_pack(&backend, index.c_str()), "open");
  check(git_odb_add_backend(database, backend, 1), "open");
}

std::vector<GitOid> PackReader::objects() const {
  std::vector<GitOid> ids;
  const auto add = [](const git_oid* id, void* list) {
    GitOid oid;
    std::memcpy(oid.bytes.data(), id->id, oid.bytes.size());
    static_cast<std::vector<GitOid>*>(list)->push_back(oid);
    return 0;
  };
  check(git_odb_foreach(state_->database.get(), add, &ids), "list");
  std::ranges::sort(ids);
  return ids;
}

std::optional<Object> PackReader::read(const GitOid& oid, std::uint64_t size_max_bytes) const {
  const git_oid id = to_libgit2(oid);
  std::size_t size_bytes = 0;
  git_object_t raw_type = GIT_OBJECT_INVALID;
  const int known = git_odb_read_header(&size_bytes, &raw_type, state_->database.get(), &id);
  if (known == GIT_ENOTFOUND) return std::nullopt;
  check(known, "read");
  if (size_bytes > size_max_bytes && raw_type == GIT_OBJECT_BLOB) return std::nullopt;
  if (size_bytes > size_max_bytes) {
    fail(ErrorKind::LimitExceeded, "git object " + to_hex(oid) + ": " + std::to_string(size_bytes) +
                                       " bytes, expected at most " +
                                       std::to_string(size_max_bytes));
  }
  git_odb_object* raw = nullptr;
  check(git_odb_read(&raw, state_->database.get(), &id), "read");
  const RawObject object(raw);
  const auto type = type_of(git_odb_object_type(raw));
  if (!type) fail(ErrorKind::Corrupt, "git object " + to_hex(oid) + ": of an unknown type");
  return Object{.type = *type,
                .bytes = std::string(static_cast<const char*>(git_odb_object_data(raw)),
                                     git_odb_object_size(raw))};
}

}  // namespace holdfast::storage::git
