// The rows of the change feed (change_feed.h): of each repository the number of its newest change,
// and of each such number the repository. Thread-safe but for note_change(), whose callers follow
// one another, so that numbers become visible in their order.
#pragma once

#include <cstdint>
#include <vector>

#include "storage/change_feed.h"
#include "storage/internal/local_catalog.h"

namespace holdfast::storage {

void note_change(Batch& batch, const CatalogParts& parts, const RepoId& repo);

std::vector<Change> read_changes(const Database& database, std::uint64_t after, std::size_t limit);

// Notes a change of every repository, those that are gone included, where a holdfast that notes
// none has published here: before there were changes, or since. In steps; what a crash leaves
// undone the next call does.
void note_unnoted_repositories(const CatalogParts& parts);

}  // namespace holdfast::storage
