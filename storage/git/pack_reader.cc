#include "storage/git/pack_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include <git2/sys/odb_backend.h>

#include "storage/base/error.h"
#include "storage/git/pack_scan.h"
#include "storage/internal/libgit2.h"

namespace holdfast::storage::git {
namespace {

class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::filesystem::path& parent) {
    std::string name = (parent / "holdfast-pack-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) fail_errno("create directory", name, errno);
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

// libgit2 gives the system's words, not its number.
ErrorKind kind_of_failure() {
  const git_error* const error = git_error_last();
  if (error == nullptr || error->klass != GIT_ERROR_OS) return ErrorKind::Corrupt;
  const std::string_view text = error->message;
  const bool full = text.ends_with(std::generic_category().message(ENOSPC)) ||
                    text.ends_with(std::generic_category().message(EDQUOT));
  return full ? ErrorKind::NoSpace : ErrorKind::Io;
}

void check(int result, const char* what) {
  if (result >= 0) return;
  check_libgit2(result, kind_of_failure(), std::string("git pack: ") + what);
}

using Indexer = std::unique_ptr<git_indexer, Freed<git_indexer_free>>;
using Database = std::unique_ptr<git_odb, Freed<git_odb_free>>;

}  // namespace

struct PackReader::State {
  explicit State(const std::filesystem::path& parent) : folder(parent) {}

  Libgit2 library;  // first: outlives what it made
  TemporaryFolder folder;
  PackScan scan;
  Indexer indexer;
  git_indexer_progress progress{};
  Database database;
  std::uint64_t bytes_left = 0;
};

PackReader::PackReader(std::uint64_t bytes_max, const std::filesystem::path& parent)
    : state_(std::make_unique<State>(parent)) {
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
        "write");
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
    static_cast<std::vector<GitOid>*>(list)->push_back(from_libgit2(*id));
    return 0;
  };
  check(git_odb_foreach(state_->database.get(), add, &ids), "list");
  std::ranges::sort(ids);
  return ids;
}

std::optional<Object> PackReader::read(const GitOid& oid, std::uint64_t size_max_bytes) const {
  return read_object(state_->database.get(), oid, size_max_bytes);
}

}  // namespace holdfast::storage::git
