#include "web/internal/sort_keys.h"

#include <algorithm>
#include <array>

namespace holdfast::web {
namespace {

// The number of digits as a letter stands in front of them: longer numbers are larger ones.
std::string count_key(const RepositoryFacts& facts, std::string_view field) {
  const Json count = facts.upstream(field);
  std::string digits =
      std::to_string(count.is_integer() && count.as_int() > 0 ? count.as_uint() : 0);
  return static_cast<char>('a' + digits.size()) + digits;
}

constexpr std::array kFields{
    SortFieldInfo{SortField::Id, "id", true, [](const RepositoryFacts&) { return std::string(); }},
    SortFieldInfo{SortField::LastModified, "lastModified", false,
                  [](const RepositoryFacts& f) { return f.last_modified(); }},
    SortFieldInfo{SortField::CreatedAt, "createdAt", false,
                  [](const RepositoryFacts& f) { return to_text(f.repository.created_at); }},
    SortFieldInfo{SortField::Downloads, "downloads", false,
                  [](const RepositoryFacts& f) { return count_key(f, "downloads"); }},
    SortFieldInfo{SortField::Likes, "likes", false,
                  [](const RepositoryFacts& f) { return count_key(f, "likes"); }},
    SortFieldInfo{SortField::TrendingScore, "trendingScore", false,
                  [](const RepositoryFacts& f) { return count_key(f, "trendingScore"); }},
    SortFieldInfo{SortField::UpdatedAt, "updatedAt", false,
                  [](const RepositoryFacts& f) { return to_text(f.repository.updated_at); }},
};

// Larger texts first: every byte turned round, and an end above all of them, so that a text follows
// those that go on where it ends.
std::string descending(std::string_view text) {
  std::string turned;
  for (const char c : text) turned += static_cast<char>(~static_cast<unsigned char>(c));
  return turned + '\xff';
}

}  // namespace

std::span<const SortFieldInfo> sort_fields() noexcept { return kFields; }

const SortFieldInfo* find_sort_field(std::string_view name) noexcept {
  const auto* found = std::ranges::find(kFields, name, &SortFieldInfo::name);
  return found == kFields.end() ? nullptr : found;
}

const SortFieldInfo& info(SortField field) noexcept {
  return kFields[static_cast<std::size_t>(field)];
}

std::string SortOrder::place(const SortRow& row) const {
  if (field == SortField::Id) return ascending ? row.name : descending(row.name);
  return (ascending ? row.key + '\x01' : descending(row.key)) + row.name;
}

}  // namespace holdfast::web
