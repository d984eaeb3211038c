// The two writers of the local store: one that stages a file, one that buffers a small object.
#pragma once

#include <memory>
#include <string>

#include "storage/base/file.h"
#include "storage/blob_store.h"
#include "storage/internal/claims.h"
#include "storage/internal/leases.h"

namespace holdfast::storage {

class LocalBlobStore;

// `lease.staged` says what is in `fd` already. The store outlives the writer.
std::unique_ptr<BlobWriter> make_staged_writer(LocalBlobStore& store, Lease lease, UniqueFd fd,
                                               Claims<std::string>::Claim claim);

std::unique_ptr<BlobWriter> make_small_writer(LocalBlobStore& store, Lease lease,
                                              std::uint64_t size_bytes,
                                              Claims<std::string>::Claim claim);

}  // namespace holdfast::storage
