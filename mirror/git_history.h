// A revision's history as upstream's own git has it: the commit, its trees, pointers and other
// small blobs, each checked against its id. Pure.
#pragma once

#include <span>

#include "mirror/history.h"
#include "mirror/upstream.h"
#include "storage/catalog.h"

namespace holdfast::mirror {

// Sets the files' modes from the trees. Blobs of files whose content is an object (or becomes one)
// are left out: the store holds them once. Corrupt when the trees and the listing disagree on a
// path or an id, or an object is missing or malformed.
History history_from_git(const RemoteGit& git, const GitOid& commit,
                         std::span<storage::FileRecord> files);

}  // namespace holdfast::mirror
