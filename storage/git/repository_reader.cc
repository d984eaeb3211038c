#include "storage/git/repository_reader.h"

#include <algorithm>
#include <map>
#include <utility>

#include "storage/base/error.h"
#include "storage/internal/libgit2.h"

namespace holdfast::storage::git {
namespace {

using Repository = std::unique_ptr<git_repository, Freed<git_repository_free>>;
using Database = std::unique_ptr<git_odb, Freed<git_odb_free>>;
using Reference = std::unique_ptr<git_reference, Freed<git_reference_free>>;
using Peeled = std::unique_ptr<git_object, Freed<git_object_free>>;

constexpr std::string_view kHeads = "refs/heads/";
constexpr std::string_view kTags = "refs/tags/";
constexpr std::string_view kOrigin = "refs/remotes/origin/";

Repository open(const std::filesystem::path& directory) {
  git_repository* repository = nullptr;
  const int result = git_repository_open_ext(&repository, directory.c_str(),
                                             GIT_REPOSITORY_OPEN_NO_SEARCH, nullptr);
  check_libgit2(result, result == GIT_ENOTFOUND ? ErrorKind::NotFound : ErrorKind::Denied,
                directory.string());
  return Repository(repository);
}

// The name under which a ref counts here; "" for those that do not.
std::string own_name(std::string_view name) {
  if (name.starts_with(kHeads) || name.starts_with(kTags)) return std::string(name);
  if (!name.starts_with(kOrigin) || name == "refs/remotes/origin/HEAD") return "";
  return std::string(kHeads) + std::string(name.substr(kOrigin.size()));
}

std::optional<GitOid> commit_of(git_repository* repository, const char* name) {
  git_reference* reference = nullptr;
  if (git_reference_lookup(&reference, repository, name) < 0) return std::nullopt;
  const Reference owner(reference);
  git_object* object = nullptr;
  if (git_reference_peel(&object, reference, GIT_OBJECT_COMMIT) < 0) return std::nullopt;
  const Peeled commit(object);
  return from_libgit2(*git_object_id(object));
}

}  // namespace

struct RepositoryReader::State {
  Libgit2 library;  // first: outlives what it made
  Repository repository;
  Database database;
};

RepositoryReader::RepositoryReader(const std::filesystem::path& directory)
    : state_(std::make_unique<State>()) {
  state_->repository = open(directory);
  git_odb* database = nullptr;
  check_libgit2(git_repository_odb(&database, state_->repository.get()), ErrorKind::Io,
                directory.string());
  state_->database.reset(database);
}

RepositoryReader::~RepositoryReader() = default;

bool RepositoryReader::is_repository(const std::filesystem::path& directory) {
  const Libgit2 library;
  git_repository* repository = nullptr;
  const int result = git_repository_open_ext(&repository, directory.c_str(),
                                             GIT_REPOSITORY_OPEN_NO_SEARCH, nullptr);
  const Repository owner(repository);
  // One that may not be opened is one all the same: opening it says why.
  return result != GIT_ENOTFOUND;
}

std::vector<Ref> RepositoryReader::refs() const {
  std::vector<std::string> names;
  const auto add = [](const char* name, void* list) {
    static_cast<std::vector<std::string>*>(list)->emplace_back(name);
    return 0;
  };
  check_libgit2(git_reference_foreach_name(state_->repository.get(), add, &names), ErrorKind::Io,
                "git refs");
  std::map<std::string, GitOid> found;
  // Local branches come last and win.
  std::ranges::sort(names, std::greater());
  for (const std::string& name : names) {
    const std::string own = own_name(name);
    const auto commit =
        own.empty() ? std::nullopt : commit_of(state_->repository.get(), name.c_str());
    if (commit) found[own] = *commit;
  }
  std::vector<Ref> out;
  for (auto& [name, commit] : found) out.push_back({.name = name, .commit = commit});
  return out;
}

std::optional<std::string> RepositoryReader::head() const {
  git_reference* reference = nullptr;
  if (git_repository_head(&reference, state_->repository.get()) < 0) return std::nullopt;
  const Reference owner(reference);
  const std::string name = git_reference_name(reference);
  return name.starts_with(kHeads) ? std::optional(name) : std::nullopt;
}

std::optional<Object> RepositoryReader::read(const GitOid& oid,
                                             std::uint64_t size_max_bytes) const {
  return read_object(state_->database.get(), oid, size_max_bytes);
}

std::optional<std::uint64_t> RepositoryReader::size_of(const GitOid& oid) const {
  const git_oid id = to_libgit2(oid);
  std::size_t size_bytes = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  if (git_odb_read_header(&size_bytes, &type, state_->database.get(), &id) < 0) return std::nullopt;
  return size_bytes;
}

std::optional<std::filesystem::path> RepositoryReader::find_lfs_object(const Digest& object) const {
  const std::string hex = to_hex(object);
  std::filesystem::path path =
      std::filesystem::path(git_repository_commondir(state_->repository.get())) / "lfs" /
      "objects" / hex.substr(0, 2) / hex.substr(2, 2) / hex;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return std::nullopt;
  return path;
}

}  // namespace holdfast::storage::git
