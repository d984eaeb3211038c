// The rows that go when a revision or a repository is removed.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "storage/internal/local_catalog.h"

namespace holdfast::storage {

// Of a repository, whether a ref names them or not.
std::vector<GitOid> all_revisions(const Database& database, const RepoId& repo);

// As Catalog::remove, into `batch`.
Removal add_removal(Batch& batch, const CatalogParts& parts, const RepoId& repo,
                    const std::optional<GitOid>& commit);

// The revisions that no ref leads to; none where no ref names a revision.
std::vector<GitOid> find_unreachable(const Catalog& catalog, const RepoId& repo);

// The removal of revisions that no ref names, and not of all there are.
void add_expiry(Batch& batch, const CatalogParts& parts, const RepoId& repo,
                std::span<const GitOid> commits);

}  // namespace holdfast::storage
