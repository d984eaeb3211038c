// Derived repositories: conversions of "owner/name" appear as "owner/name-GGUF", with a card that
// names what they were made from and commits that follow from their content.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/digest.h"
#include "storage/base/json.h"
#include "storage/repo_id.h"
#include "storage/store.h"

namespace holdfast::convert {

// Where conversions of `source` go by default: "owner/name-GGUF".
storage::RepoId derived_repository(const storage::RepoId& source);

struct DerivedSource {
  storage::RepoId repo;
  GitOid commit;
};

// A finished output object.
struct DerivedFile {
  std::string path;
  std::uint64_t size_bytes = 0;
  Digest object;
  std::string lease_key;
  Json::Object recipe;  // what it was made by: equal recipes give equal bytes
  bool lfs = true;      // kept outside git
};

// The file at `path` of the newest revision when it was made by the same recipe; nothing otherwise.
std::optional<storage::FileRecord> find_derived(storage::Store& store,
                                                const storage::RepoId& target,
                                                std::string_view path, const Json::Object& recipe);

// Adds the files to the newest revision of `target` (creating it), rewrites the card, and moves the
// default branch, in one atomic write: on top of what others commit meanwhile, and asks for a scan.
// Returns the commit. Conflict when `target` is a repository
// that was not derived from the same source.
GitOid publish_derived(storage::Store& store, const storage::RepoId& target,
                       const DerivedSource& source, const std::vector<DerivedFile>& files);

}  // namespace holdfast::convert
