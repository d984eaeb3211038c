// Which objects a client needs to have a revision in its own git repository: the walk over commits,
// trees and blobs behind a fetch (git's gitprotocol-v2, "fetch"). Reads the catalog, opens nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/blob_store.h"
#include "storage/catalog.h"
#include "storage/git/objects.h"

namespace holdfast::storage::git {

struct PackRequest {
  std::vector<GitOid> wants;    // commits
  std::vector<GitOid> haves;    // what the client says it has; unknown ids count for nothing
  std::vector<GitOid> shallow;  // commits of the client whose parents it lacks
  std::uint32_t depth = 0;      // commits along each line; 0 = as far as they are held
  bool relative = false;  // depth counts from the client's shallow commits, not from the wants
};

struct PackObject {
  GitOid oid;
  ObjectType type = ObjectType::Blob;
  std::optional<Digest> content;  // of a blob that lies in the blob store; else a git object
};

struct PackPlan {
  std::vector<PackObject> objects;  // commits, then trees and blobs
  std::vector<GitOid> shallow;      // of the sent commits those whose parents stay behind
  std::vector<GitOid> unshallow;    // of request.shallow those whose parents are sent now
};

// The haves that we hold: what both sides can build on.
std::vector<GitOid> common_commits(const Catalog& catalog, std::span<const GitOid> haves);

// The commits reached from request.wants whose parents stay behind: where history ends for a client
// that has nothing.
std::vector<GitOid> find_boundary(const Catalog& catalog, const PackRequest& request);

// A commit whose parent is not held ends its line, as in a shallow repository. NotFound for a want
// that is no commit here, and for a file whose content is not held (outside the mirrored
// selection), naming its path. Corrupt as the catalog says.
PackPlan make_pack_plan(const Catalog& catalog, const BlobStore& blobs, const PackRequest& request);

}  // namespace holdfast::storage::git
