// The documents of an index by when their repositories came here last, the newest first. Kept in
// memory beside the index, 16 bytes each, so that a page of the list of everything costs its rows
// and no more, wherever it lies. Repositories of one time stand in the order of their documents.
// Not thread-safe; what snapshot() gives never changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include <xapian.h>

#include "storage/base/clock.h"

namespace holdfast::web::search {

class NewestFirst {
 public:
  struct Row {
    Time::rep came = 0;
    Xapian::docid document = 0;

    bool operator==(const Row&) const = default;
  };

  using Rows = std::vector<Row>;

  NewestFirst() = default;
  // Reads the times of all documents. Throws what Xapian throws.
  explicit NewestFirst(const Xapian::Database& index);

  // A document is new, or has another time.
  void put(Xapian::docid document, Time came) { changes_[document] = came; }

  void erase(Xapian::docid document) { changes_[document] = std::nullopt; }

  // With all changes up to now. Shared with those who read in it.
  std::shared_ptr<const Rows> snapshot();

 private:
  std::shared_ptr<const Rows> rows_ = std::make_shared<const Rows>();
  std::unordered_map<Xapian::docid, std::optional<Time>> changes_;  // since then; nothing: erased
};

}  // namespace holdfast::web::search
