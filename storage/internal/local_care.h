// Care over the rows and files of the local store. Borrows its parts, which outlive it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "storage/care.h"
#include "storage/catalog.h"
#include "storage/internal/local_blob_store.h"

namespace holdfast::storage {

std::unique_ptr<Care> make_local_care(LocalBlobStore& blobs, const Catalog& catalog);

// Calls `visit` with every object that has a row behind `after` ("" = all), a chunk at a time: no
// scan stays open while files are read.
void for_each_object(const Database& database, const std::function<void(const Digest&)>& visit,
                     std::string after = {});

// Who names an object, as its reference row says.
struct Reference {
  std::string repo;
  std::string commit;
  std::string path;
};

// The first part of a reference row's key is the object's digest.
Digest object_of_key(std::string_view key);
Reference parse_reference(std::string_view key);

// What Care does, each in a file of its own. gc and backup must not run at the same time.
Json::Object run_fsck(LocalBlobStore& blobs, const Catalog& catalog, const FsckOptions& options,
                      JobContext& context);
Json::Object run_gc(LocalBlobStore& blobs, const GcOptions& options, JobContext& context);
Json::Object run_backup(LocalBlobStore& blobs, const BackupOptions& options, JobContext& context);
// {objects, bytes, unreferenced_bytes, damaged, repositories} of Care::stats().
Json::Object collect_stats(const Database& database);

}  // namespace holdfast::storage
