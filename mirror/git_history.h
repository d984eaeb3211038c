// A revision's history as upstream's own git has it: the commit, its trees, pointers and other
// small blobs, each checked against its id. Pure.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "mirror/history.h"
#include "mirror/upstream.h"
#include "storage/catalog.h"

namespace holdfast::mirror {

// The commits before `commit`, newest first, for a git that was fetched in full depth. Their trees
// and blobs are added to the history, so that a clone of it is whole. Corrupt when anything is
// missing, LimitExceeded above kGitCommitsMax.
std::vector<GitOid> add_past(const RemoteGit& git, const GitOid& commit,
                             std::span<const storage::FileRecord> files, History& history);

// The key of the fact that names the commits of add_past(), as hex, for a revision.
inline constexpr std::string_view kPastFact = "git/history";

// Sets the files' modes from the trees. Blobs of files whose content is an object (or becomes one)
// are left out: the store holds them once. Corrupt when the trees and the listing disagree on a
// path or an id, or an object is missing or malformed.
History history_from_git(const RemoteGit& git, const GitOid& commit,
                         std::span<storage::FileRecord> files);

}  // namespace holdfast::mirror
