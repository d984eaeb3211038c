// Git objects for a revision that came as a JSON listing: trees and LFS pointers are functions of
// the listing, so they are made again and compared with the ids that upstream gives. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mirror/upstream.h"
#include "storage/catalog.h"

namespace holdfast::mirror {

// Message of the commit that a plain folder gets: fixed, so that its id depends on content alone.
inline constexpr std::string_view kFolderMessage = "Take in a model folder\n";

struct History {
  GitOid git_commit;
  GitOid tree;
  bool genuine = false;  // git_commit is upstream's own commit
  std::string title;
  std::vector<std::pair<GitOid, storage::GitObjectRecord>> objects;
};

// The listing does not say which files are executable. Where the tree id of a directory says so,
// sets their modes; returns the directories whose id cannot be explained.
std::vector<std::string> settle_modes(std::span<storage::FileRecord> files,
                                      std::span<const RemoteEntry> directories);

// Upstream's own commit when it can be made again (a holdfast that took in a folder), else one of
// ours over the same tree, with the source's time and a trailer that names the source's commit.
History rebuild_history(std::span<const storage::FileRecord> files, const RemoteRevision& revision,
                        const RemoteCommit& commit);

}  // namespace holdfast::mirror
