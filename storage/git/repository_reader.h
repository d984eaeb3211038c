// A git repository on this machine, as somebody cloned it: its refs and objects, and what git-lfs
// keeps beside them. Reads only; libgit2 does the work.
//
// Errors: NotFound (no repository), Denied (it is another user's), Corrupt (a damaged object),
// LimitExceeded, Io.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/catalog.h"
#include "storage/git/objects.h"

namespace holdfast::storage::git {

class RepositoryReader {
 public:
  // A work tree, its .git, or a bare repository; `directory` itself, nothing above it.
  explicit RepositoryReader(const std::filesystem::path& directory);
  RepositoryReader(const RepositoryReader&) = delete;
  RepositoryReader& operator=(const RepositoryReader&) = delete;
  ~RepositoryReader();

  static bool is_repository(const std::filesystem::path& directory);

  // Branches and tags with the commits that they lead to: local branches before those of the
  // remote "origin", which count as branches of the same name. Refs that lead to no commit are left
  // out.
  std::vector<Ref> refs() const;
  // The branch that HEAD names; nothing when it names a commit, or a branch without one.
  std::optional<std::string> head() const;

  // Nothing when there is none, or it is a blob larger than that; LimitExceeded for anything else.
  std::optional<Object> read(const GitOid& oid, std::uint64_t size_max_bytes) const;
  std::optional<std::uint64_t> size_of(const GitOid& oid) const;

  // Where git-lfs keeps the object with this SHA-256; nothing when it was not fetched.
  std::optional<std::filesystem::path> find_lfs_object(const Digest& object) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::storage::git
