// The commits of a push as revisions: each checked, with the files of its tree. What the pack does
// not hold must be the repository's already: the catalog has other repositories' objects too.
//
// Errors: Invalid for what may not be here (its text is for the pusher), Corrupt for broken
// objects, LimitExceeded. One owner; borrows store and pack.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "storage/catalog.h"
#include "storage/git/pack_reader.h"
#include "storage/store.h"
#include "web/internal/commit.h"
#include "web/limits.h"

namespace holdfast::web {

// Of all commits of one push together.
struct PushLimits {
  std::size_t rows_max = kPushRowsMax;          // files and directories
  std::size_t names_bytes_max = kPushNamesMax;  // of their paths, and of trees
};

class PushedCommits {
 public:
  // `pack` is nullptr where a push brings no objects.
  PushedCommits(const Services& services, const storage::RepositoryRecord& repository,
                const storage::git::PackReader* pack, PushLimits limits = {});

  // The revisions that `tip` needs and the repository does not have, oldest first, without refs;
  // their small files are stored. Empty when `tip` is here already.
  std::vector<storage::Publication> take(const GitOid& tip, Time now);
  // These are the repository's from now on.
  void add(const std::vector<storage::Publication>& published);

 private:
  std::vector<GitOid> new_commits(const GitOid& tip);
  storage::Publication read_commit(const GitOid& commit, Time now);
  void read_tree(const GitOid& oid, const std::string& prefix, storage::Publication& publication);
  std::string tree_bytes(const GitOid& oid, storage::Publication& publication);
  storage::FileRecord read_file(const GitOid& blob, const std::string& path,
                                storage::Publication& publication);
  storage::FileRecord read_blob(std::string bytes, const GitOid& blob, const std::string& path,
                                storage::Publication& publication);
  void count_row(std::size_t name_bytes);
  std::optional<storage::FileRecord> find_known(const GitOid& blob);
  bool is_known_tree(const GitOid& tree);
  bool look_further();

  const Services& services_;
  storage::Store& store_;
  const storage::RepositoryRecord& repository_;
  const storage::git::PackReader* pack_;
  PushLimits limits_;
  SmallFiles small_;
  std::set<GitOid> in_pack_;
  std::vector<storage::RevisionRecord> revisions_;  // those of the repository, newest first
  std::size_t looked_at_ = 0;                       // so many of them
  std::set<GitOid> commits_;                        // those of the repository
  std::set<GitOid> known_trees_;
  std::map<GitOid, storage::FileRecord> known_blobs_;  // also those of this push
  std::set<GitOid> given_;  // trees that the publications of one take() have
  std::size_t rows_ = 0;
  std::size_t names_bytes_ = 0;  // of their paths and trees
};

}  // namespace holdfast::web
