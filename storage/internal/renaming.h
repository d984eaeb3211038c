// The rows that move when a repository gets another name.
#pragma once

#include "storage/internal/local_catalog.h"

namespace holdfast::storage {

// As Catalog::rename, into `batch`.
void add_renaming(Batch& batch, const CatalogParts& parts, const RepoId& from, const RepoId& to);

}  // namespace holdfast::storage
