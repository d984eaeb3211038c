// What there is to take in from a folder: a plain model folder, or the cache that Hugging Face's
// own clients keep (models--OWNER--NAME/{refs,blobs,snapshots}; huggingface_hub, "Manage your
// cache"), whose snapshots are links to blobs named by their hash. Reads names, sizes and links, no
// content.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "storage/catalog.h"

namespace holdfast::mirror {

struct FolderFile {
  storage::FileRecord record;    // path, size and whether it is an LFS file
  std::filesystem::path source;  // where its bytes lie; no link
  std::string hash;              // SHA-256 or git blob id that the cache promises; "" = none
};

struct FolderListing {
  std::vector<FolderFile> files;      // sorted by path
  std::vector<std::string> warnings;  // what was left out and why, a line each
};

// `directory` is a model folder, a snapshot of a cache, a cached repository or the whole cache;
// `revision` chooses among a cached repository's snapshots ("" = main, or the only one). Links are
// followed to regular files inside the folder, in a cache inside its repository; others are left
// out with a warning. Errors: NotFound (folder, snapshot, or nothing selected in it), Invalid (a
// revision of a plain folder, an unsafe name), LimitExceeded, Io.
FolderListing list_folder(const std::filesystem::path& directory, const storage::RepoId& repo,
                          std::string_view revision, const storage::Selection& selection);

}  // namespace holdfast::mirror
