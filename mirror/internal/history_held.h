// What the catalog has of a history already.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "mirror/history.h"
#include "storage/catalog.h"

namespace holdfast::mirror {

// Upstream's own commit and trees that an earlier sync brought, for one that cannot have them now:
// what clones from here have seen must not change its id. Without objects, for they are stored. The
// files get the modes that they have there. Nothing where the revision is not held, came without
// git, or has other files.
std::optional<History> history_held(const storage::Catalog& catalog, const storage::RepoId& repo,
                                    const GitOid& commit, std::span<storage::FileRecord> files);

// Of the history's objects that the catalog does not have, each once.
std::uint64_t bytes_not_held(const storage::Catalog& catalog, const History& history);

}  // namespace holdfast::mirror
