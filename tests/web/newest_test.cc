#include "web/internal/newest.h"

#include <string>

#include <doctest/doctest.h>

#include "web/internal/search_document.h"
#include "web/internal/sort_keys.h"

namespace holdfast::web::search {
namespace {

Time at(int second) { return Time(std::chrono::seconds(1'700'000'000 + second)); }

// "3 1 2"
std::string documents_of(NewestFirst& newest) {
  std::string text;
  for (const auto& row : *newest.snapshot()) text += std::to_string(row.document) + " ";
  return text;
}

// An index in memory, with documents of such times.
Xapian::WritableDatabase index_of(std::initializer_list<int> seconds) {
  constexpr auto kSlot = kSortSlots + static_cast<Xapian::valueno>(SortField::UpdatedAt);
  Xapian::WritableDatabase index("", Xapian::DB_BACKEND_INMEMORY);
  for (const int second : seconds) {
    Xapian::Document document;
    document.add_value(kSlot, to_text(at(second)));
    index.add_document(document);
  }
  return index;
}

}  // namespace

TEST_CASE("web/newest: what came last stands first, equal times in the order of documents") {
  NewestFirst none;
  CHECK(documents_of(none).empty());
  NewestFirst newest(index_of({5, 9, 5, 1}));
  CHECK(documents_of(newest) == "2 1 3 4 ");
}

TEST_CASE("web/newest: changes are as if everything were read anew") {
  NewestFirst newest(index_of({5, 9, 5, 1}));
  const auto before = newest.snapshot();
  newest.put(4, at(7));   // came again
  newest.put(5, at(20));  // is new
  newest.put(6, at(0));
  newest.erase(2);
  newest.erase(77);  // was never there
  CHECK(documents_of(newest) == "5 4 1 3 6 ");
  newest.put(2, at(5));
  newest.put(5, at(5));
  newest.put(5, at(6));  // the last word counts
  newest.erase(6);
  CHECK(documents_of(newest) == "4 5 1 2 3 ");
  CHECK(before->size() == 4);
  CHECK(before->front().document == 2);
}

TEST_CASE("web/newest: what has not changed is not copied") {
  NewestFirst newest(index_of({1, 2}));
  const auto first = newest.snapshot();
  CHECK(newest.snapshot() == first);
  newest.put(1, at(3));
  CHECK(newest.snapshot() != first);
}

}  // namespace holdfast::web::search
