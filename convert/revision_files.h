// The files of a stored revision, read straight from their objects.
#pragma once

#include <memory>

#include "convert/model_files.h"
#include "storage/base/digest.h"
#include "storage/repo_id.h"
#include "storage/store.h"

namespace holdfast::convert {

// Borrows the store. NotFound when the revision is not there; opening a file outside the mirrored
// selection is NotFound too. The model's name is the repository's, without its owner.
std::unique_ptr<ModelFiles> open_revision(storage::Store& store, const storage::RepoId& repo,
                                          const GitOid& commit);

}  // namespace holdfast::convert
