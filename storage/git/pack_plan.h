// Which objects a client needs to have a revision in its own git repository: the walk over commits,
// trees and blobs behind a fetch (git's gitprotocol-v2, "fetch"). Reads the catalog, opens nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

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

// The git commits of a repository's visible revisions. Nothing else is sent, walked into or taken
// for common ground: the catalog holds other repositories' objects too, and some that were removed.
using CommitSet = std::set<GitOid>;

// The haves that are the repository's, each once: what both sides can build on.
std::vector<GitOid> common_commits(const CommitSet& commits, std::span<const GitOid> haves);

// The commits alone, with where they end. A commit whose parent is not one of `commits` ends its
// line, as in a shallow repository. NotFound for a want that is not one of them.
PackPlan plan_commits(const Catalog& catalog, const CommitSet& commits, const PackRequest& request);

// The whole pack. NotFound also for a file whose content is not held (outside the mirrored
// selection), naming its path. Corrupt as the catalog says.
PackPlan make_pack_plan(const Catalog& catalog, const CommitSet& commits,
                        const PackRequest& request);

}  // namespace holdfast::storage::git
