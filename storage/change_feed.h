// Which repositories changed, in order, for what keeps something derived from the catalog: an index
// of words. A change is part of the write that it tells of, so none is ever missed, whatever
// crashes.
//
// Of each repository the newest change alone is kept: following the feed from the start is to see
// every repository once, those that are gone included. Thread-safe. Throws what the catalog throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/catalog.h"

namespace holdfast::storage {

struct Change {
  std::uint64_t number = 0;  // grows from change to change
  RepoId repo;
};

class ChangeFeed {
 public:
  virtual ~ChangeFeed() = default;

  // Repositories whose record, refs, revisions or facts of a revision changed after the change
  // `after` (0: ever), in the order of their changes, at most `limit`.
  virtual std::vector<Change> changes(std::uint64_t after, std::size_t limit) const = 0;
};

// The feed of a catalog, owned by it; nullptr where it keeps none. What a holdfast published that
// kept none, before or between those that do, is added when this is asked: then every repository
// changed.
const ChangeFeed* find_change_feed(Catalog& catalog);

}  // namespace holdfast::storage
