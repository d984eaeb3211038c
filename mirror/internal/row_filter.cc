#include "mirror/internal/row_filter.h"

#include <utility>

namespace holdfast::mirror {

RowFilter::RowFilter(RepoPattern pattern, std::optional<Time> since)
    : pattern_(std::move(pattern)), since_(since) {}

bool RowFilter::take(std::span<const ListedRepository> page, std::vector<ListedRepository>& rows) {
  bool news = page.empty();
  for (const ListedRepository& row : page) {
    in_order_ = in_order_ && row.changed && (!last_ || *row.changed <= *last_);
    last_ = row.changed;
    const bool old = since_ && row.changed && *row.changed < *since_;
    news = news || !old;
    if (!old && matches(pattern_, row.repo)) rows.push_back(row);
  }
  return news || !in_order_;
}

}  // namespace holdfast::mirror
