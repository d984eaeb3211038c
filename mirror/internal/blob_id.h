// Git's id of the blob that has a stored object's bytes.
#pragma once

#include "storage/blob_store.h"

namespace holdfast::mirror {

// Reads the whole object. Errors as BlobStore::open() and BlobReader::read().
GitOid git_id_of(const storage::BlobStore& store, const Digest& object);

}  // namespace holdfast::mirror
