// `keep`: which revisions of a repository go.
#pragma once

#include <set>
#include <vector>

#include "mirror/internal/upstream_watch.h"
#include "storage/catalog.h"

namespace holdfast::mirror {

// Drops what its refs named beyond the newest `keep`, but for what is `named` and what a ref or a
// pin holds (UpstreamWatch::beyond). Returns what went; the watch is not saved.
std::vector<GitOid> expire_beyond(storage::Catalog& catalog, UpstreamWatch& watch, unsigned keep,
                                  const std::set<GitOid>& named);

}  // namespace holdfast::mirror
