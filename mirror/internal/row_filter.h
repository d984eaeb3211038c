// Which rows of upstream's list a rule means, page by page, and whether the rest can hold news.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "mirror/plan_mirrors.h"

namespace holdfast::mirror {

// One listing's; not thread-safe.
class RowFilter {
 public:
  // With `since`, rows that changed before it are left out.
  RowFilter(RepoPattern pattern, std::optional<Time> since);

  // Appends what is meant of the page to `rows`. False when the rest of the list is older than
  // `since`, as far as its own order proves it.
  bool take(std::span<const ListedRepository> page, std::vector<ListedRepository>& rows);

 private:
  RepoPattern pattern_;
  std::optional<Time> since_;
  std::optional<Time> last_;
  bool in_order_ = true;
};

}  // namespace holdfast::mirror
