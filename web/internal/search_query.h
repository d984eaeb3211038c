// What may be asked of the index of words, and what it answers. Plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/repo_id.h"
#include "web/internal/sort_keys.h"

namespace holdfast::web {

struct SearchQuery {
  std::optional<storage::RepoKind> kind;       // nothing: every kind
  std::vector<std::string> words;              // each a part of the name, or a word of tags or card
  std::string owner;                           // "": any
  std::vector<std::vector<std::string>> tags;  // of each list at least one
  std::string base_model;                      // made from it; "": any
  std::optional<double> parameters_min, parameters_max;
  std::optional<SortOrder> order;  // nothing: what fits the words best first, then by downloads
  std::optional<SortRow> after;    // the last row of the page before; with an order only
  std::size_t skip = 0;            // rows of the pages before
  std::size_t limit = 0;           // rows
  std::size_t count_max = 0;       // matches are counted up to here
};

struct SearchHit {
  storage::RepoId id;
  std::string key;  // of the field that the order is by
};

struct SearchResult {
  std::vector<SearchHit> hits;
  std::size_t matches = 0;  // hits beyond `limit` counted in; at least this many
};

}  // namespace holdfast::web
