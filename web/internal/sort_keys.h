// What lists of repositories are sorted by (hub-protocol 4.6): each field as a text that sorts as
// the field does, the same for who looks through the catalog and for the index of words. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "web/internal/repository_facts.h"

namespace holdfast::web {

// The values number columns of the index (internal/search_document.h): append only.
enum class SortField : std::size_t {
  Id,
  LastModified,
  CreatedAt,
  Downloads,
  Likes,
  TrendingScore,
  UpdatedAt,  // ours: when it came here last
};

struct SortFieldInfo {
  SortField field = SortField::Id;
  std::string_view name;   // in "sort="
  bool ascending = false;  // unless the client says otherwise
  // Printable ASCII without commas; "" where the name alone decides.
  std::string (*key)(const RepositoryFacts&) = nullptr;
};

std::span<const SortFieldInfo> sort_fields() noexcept;

// nullptr when there is no such field.
const SortFieldInfo* find_sort_field(std::string_view name) noexcept;
const SortFieldInfo& info(SortField field) noexcept;

// A place in a list: rows with equal keys stand in the order of their names.
struct SortRow {
  std::string key;
  std::string name;  // "owner/name"; where lists mix kinds, "model/owner/name"

  bool operator==(const SortRow&) const = default;
};

struct SortOrder {
  SortField field = SortField::Id;
  bool ascending = true;

  // Texts that compare as rows of this order follow one another.
  std::string place(const SortRow& row) const;
};

}  // namespace holdfast::web
