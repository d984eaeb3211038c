// What the catalog page lists: asked of the index of words or, while there is none, looked for in
// the catalog itself. Thread-safe; throws a Refusal, or what the catalog throws.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "web/internal/handlers.h"
#include "web/internal/repository_facts.h"
#include "web/limits.h"

namespace holdfast::web {

// The page's query. A field that is "" filters nothing.
struct CatalogQuery {
  std::string text;     // "q": words
  std::string kind;     // "models", "datasets"
  std::string task;     // of the hub's: "text-generation"
  std::string library;  // "transformers"
  std::string licence;  // "license": "mit"
  std::string author;
  std::size_t page = 1;                    // from 1 on
  std::size_t rows_max = kSearchCountMax;  // that can be paged through; no part of an address
};

CatalogQuery read_catalog_query(const Call& call);

// The address of another page of the same list, without the base path.
std::string catalog_place(const CatalogQuery& query, std::size_t page);

struct CatalogRows {
  std::vector<RepositoryFacts> rows;  // of the page
  std::size_t total = 0;              // that match, on all pages
  std::size_t pages = 0;              // that can be asked for; behind them `rows` is empty
  bool more = false;                  // than the pages hold: `total` is at least so many
  bool any = false;                   // there is something to be seen at all
};

// Newest first or, where there are words, what fits them best.
CatalogRows find_catalog_rows(const Call& call, const CatalogQuery& query);

// What there is to choose from; empty while there is no index.
struct CatalogChoices {
  std::vector<std::string> tasks, libraries, licences;
};

CatalogChoices find_catalog_choices(const Call& call, const CatalogQuery& query);

// page_catalog.cc: the page itself.
Response catalog_page(const Call& call, const CatalogQuery& query);

}  // namespace holdfast::web
