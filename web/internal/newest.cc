#include "web/internal/newest.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "web/internal/search_document.h"
#include "web/internal/sort_keys.h"

namespace holdfast::web::search {
namespace {

using Row = NewestFirst::Row;
using Rows = NewestFirst::Rows;

bool stands_before(const Row& a, const Row& b) noexcept {
  return a.came != b.came ? a.came > b.came : a.document < b.document;
}

}  // namespace

NewestFirst::NewestFirst(const Xapian::Database& index) {
  constexpr auto kSlot = kSortSlots + static_cast<Xapian::valueno>(SortField::UpdatedAt);
  Rows rows;
  rows.reserve(index.get_doccount());
  for (auto value = index.valuestream_begin(kSlot); value != index.valuestream_end(kSlot);
       ++value) {
    const Time came = parse_time(*value).value_or(Time());
    rows.push_back({.came = came.time_since_epoch().count(), .document = value.get_docid()});
  }
  std::ranges::sort(rows, stands_before);
  rows_ = std::make_shared<const Rows>(std::move(rows));
}

std::shared_ptr<const Rows> NewestFirst::snapshot() {
  if (changes_.empty()) return rows_;
  Rows changed;
  for (const auto& [document, came] : changes_) {
    if (came) changed.push_back({.came = came->time_since_epoch().count(), .document = document});
  }
  std::ranges::sort(changed, stands_before);
  Rows kept;
  kept.reserve(rows_->size() + changed.size());
  std::ranges::copy_if(*rows_, std::back_inserter(kept),
                       [&](const Row& row) { return !changes_.contains(row.document); });
  const auto middle = static_cast<Rows::difference_type>(kept.size());
  kept.insert(kept.end(), changed.begin(), changed.end());
  std::ranges::inplace_merge(kept, kept.begin() + middle, stands_before);
  rows_ = std::make_shared<const Rows>(std::move(kept));
  changes_.clear();
  return rows_;
}

}  // namespace holdfast::web::search
