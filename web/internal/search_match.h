// Searches in an opened index. What is thrown is Xapian's, or what `may_see` throws.
#pragma once

#include <vector>

#include <xapian.h>

#include "web/internal/search_query.h"
#include "web/search_index.h"

namespace holdfast::web::search {

SearchResult find(const Xapian::Database& index, const SearchQuery& query,
                  const SearchIndex::MaySee& may_see);

std::vector<SearchIndex::Tag> find_tags(const Xapian::Database& index, storage::RepoKind kind,
                                        std::size_t per_type, const SearchIndex::MaySee& may_see);

}  // namespace holdfast::web::search
