// The rows that go when a revision or a repository is removed.
#pragma once

#include <optional>
#include <vector>

#include "storage/internal/local_catalog.h"

namespace holdfast::storage {

// Of a repository, whether a ref names them or not.
std::vector<GitOid> all_revisions(const Database& database, const RepoId& repo);

// As Catalog::remove, into `batch`.
Removal add_removal(Batch& batch, const CatalogParts& parts, const RepoId& repo,
                    const std::optional<GitOid>& commit);

}  // namespace holdfast::storage
