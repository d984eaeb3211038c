// The holdfast.* keys: which bytes a GGUF file was made from. All is known before the first tensor
// is read, and nothing depends on time or machine. --plain leaves them out.
#pragma once

#include <cstdint>
#include <string>

#include "convert/metadata.h"
#include "storage/base/digest.h"
#include "storage/repo_id.h"
#include "storage/store.h"

namespace holdfast::convert {

// Raised when the same source and request would give other bytes than before.
inline constexpr std::uint32_t kConversionVersion = 2;

// Repository, commit, and path and SHA-256 of every stored file of the revision.
Metadata provenance(storage::Store& store, const storage::RepoId& repo, const GitOid& commit);

// A folder has a name only.
Metadata provenance(const std::string& folder_name);

}  // namespace holdfast::convert
