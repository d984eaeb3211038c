#include "convert/provenance.h"

#include <algorithm>

namespace holdfast::convert {

Metadata provenance(storage::Store& store, const storage::RepoId& repo, const GitOid& commit) {
  std::vector<storage::FileRecord> files = store.catalog().files(repo, commit, "");
  std::ranges::sort(files, {}, &storage::FileRecord::path);
  std::vector<std::string> paths, digests;
  for (const storage::FileRecord& file : files) {
    if (!file.object) continue;
    paths.push_back(file.path);
    digests.push_back(to_hex(*file.object));
  }
  Metadata metadata;
  metadata.set("holdfast.conversion.version", kConversionVersion);
  metadata.set("holdfast.source.repository", repo.full_name());
  metadata.set("holdfast.source.commit", to_hex(commit));
  metadata.set("holdfast.source.files", std::move(paths));
  metadata.set("holdfast.source.sha256", std::move(digests));
  return metadata;
}

Metadata provenance(const std::string& folder_name) {
  Metadata metadata;
  metadata.set("holdfast.conversion.version", kConversionVersion);
  metadata.set("holdfast.source.name", folder_name);
  return metadata;
}

}  // namespace holdfast::convert
