// What a client asks of a list of repositories (hub-protocol 4.6), read from the URL. Refuses with
// 400 what the hub would not know.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "web/internal/repository_facts.h"
#include "web/internal/search_query.h"
#include "web/internal/sort_keys.h"

namespace holdfast::web {

struct ListQuery {
  SearchQuery search;  // everything but what follows; `order` is always there
  std::optional<bool> gated;
  bool nothing = false;  // asks for what a hub inside walls has none of: inference providers

  // Neither words nor filters but the owner, in the order of names: the catalog's own list.
  bool is_plain() const noexcept;
  // Whether the repository belongs to the list as far as its own records say; for who looks through
  // the catalog. Words are looked for in names and tags alone.
  bool takes(const RepositoryFacts& facts) const;
};

ListQuery read_list_query(const Call& call, std::size_t limit);

// The words of a text that a person typed; each has to be found. At most kSearchWordsMax count.
void add_words(SearchQuery& query, std::string_view text);

// "key,name", or the name alone where the list is by name.
std::string cursor_text(const SortOrder& order, const SortRow& row);

}  // namespace holdfast::web
