#include "web/internal/catalog_rows.h"

#include <algorithm>
#include <array>
#include <set>

#include "web/internal/answers.h"
#include "web/internal/forms.h"
#include "web/internal/gate.h"
#include "web/internal/list_query.h"
#include "web/limits.h"
#include "web/search_index.h"
#include "web/url.h"

namespace holdfast::web {
namespace {

using storage::RepoKind;

constexpr std::array kKinds{RepoKind::Model, RepoKind::Dataset};
constexpr std::string_view kLicenceTag = "license:";
constexpr std::size_t kPageMax = 1'000'000'000;
constexpr SortOrder kNewest{.field = SortField::UpdatedAt, .ascending = false};

std::optional<RepoKind> kind_of(const CatalogQuery& query) {
  for (const RepoKind kind : kKinds) {
    if (query.kind == plural(kind)) return kind;
  }
  return std::nullopt;
}

// Everything but what is a page's.
ListQuery list_of(const CatalogQuery& query) {
  ListQuery list;
  list.search.kind = kind_of(query);
  list.search.owner = query.author;
  add_words(list.search, query.text);
  for (const std::string* tag : {&query.task, &query.library}) {
    if (!tag->empty()) list.search.tags.push_back({*tag});
  }
  if (!query.licence.empty())
    list.search.tags.push_back({std::string(kLicenceTag) + query.licence, query.licence});
  if (list.search.words.empty()) list.search.order = kNewest;
  return list;
}

std::size_t rows_before(const CatalogQuery& query) { return (query.page - 1) * kCatalogPageRows; }

std::size_t pages_of(std::size_t rows) { return (rows + kCatalogPageRows - 1) / kCatalogPageRows; }

// What is found by looking through everything is shown as far as it is counted: each page costs as
// much as all that stand before it.
CatalogRows counted_rows(const CatalogQuery& query, std::size_t matches) {
  return {.total = matches,
          .pages = pages_of(std::min(matches, query.rows_max)),
          .more = matches > query.rows_max};
}

// Everything there is: a list of which every page costs the same.
bool is_everything(const CatalogQuery& query) {
  return query.text.empty() && query.kind.empty() && query.task.empty() && query.library.empty() &&
         query.licence.empty() && query.author.empty();
}

// Calls `visit` with each repository that the caller may see.
template <class Visit>
void visit_records(const Call& call, const ListQuery& list, Visit visit) {
  for (const RepoKind kind : kKinds) {
    if (list.search.kind && *list.search.kind != kind) continue;
    storage::Catalog::ListQuery query{.kind = kind, .owner = list.search.owner, .limit = kListPage};
    while (true) {
      auto records = call.services.store.catalog().list_repositories(query);
      const bool last = records.size() < query.limit;
      if (!last) query.after = records.back().id.full_name();
      for (auto& record : records) {
        if (may_see(call, record.id)) visit(std::move(record));
      }
      if (last) break;
    }
  }
}

// Whether there is anything for the caller's eyes: asked only where a list is empty.
bool any_repository(const Call& call) {
  SearchIndex* index = call.services.search;
  const auto result = index == nullptr
                          ? std::nullopt
                          : index->search({.order = kNewest, .limit = 1}, seen_by(call));
  if (result) return !result->hits.empty();
  bool any = false;
  visit_records(call, {}, [&](const storage::RepositoryRecord&) { any = true; });
  return any;
}

// While there is no index: those whose names and tags fit, newest first.
CatalogRows look_for_rows(const Call& call, const CatalogQuery& query) {
  const auto& catalog = call.services.store.catalog();
  const ListQuery list = list_of(query);
  const bool everything = list.search.words.empty() && list.search.tags.empty();
  std::vector<storage::RepositoryRecord> records;
  visit_records(call, list, [&](storage::RepositoryRecord record) {
    if (everything || list.takes(read_facts(catalog, record, std::nullopt)))
      records.push_back(std::move(record));
  });
  std::ranges::stable_sort(
      records, [](const auto& a, const auto& b) { return a.updated_at > b.updated_at; });
  CatalogRows found = counted_rows(query, records.size());
  found.any = !records.empty() || any_repository(call);
  const std::size_t end = std::min(records.size(), query.rows_max);
  for (std::size_t at = rows_before(query); at < end && found.rows.size() < kCatalogPageRows;
       ++at) {
    found.rows.push_back(read_facts(catalog, std::move(records[at]), std::nullopt));
  }
  return found;
}

// Nothing while there is no index.
std::optional<CatalogRows> list_everything(const Call& call, const CatalogQuery& query) {
  SearchIndex* index = call.services.search;
  if (index == nullptr) return std::nullopt;
  const auto newest = index->newest(rows_before(query), kCatalogPageRows);
  if (!newest) return std::nullopt;
  const auto& catalog = call.services.store.catalog();
  CatalogRows found{
      .total = newest->total, .pages = pages_of(newest->total), .any = newest->total > 0};
  for (const storage::RepoId& id : newest->ids) {
    if (auto record = catalog.find_repository(id))
      found.rows.push_back(read_facts(catalog, *std::move(record), std::nullopt));
  }
  return found;
}

}  // namespace

CatalogQuery read_catalog_query(const Call& call) {
  const auto page = number_of(field(call.query, "page")).value_or(1);
  return {.text = field(call.query, "q"),
          .kind = field(call.query, "kind"),
          .task = field(call.query, "task"),
          .library = field(call.query, "library"),
          .licence = field(call.query, "license"),
          .author = field(call.query, "author"),
          .page = std::clamp<std::uint64_t>(page, 1, kPageMax)};
}

std::string catalog_place(const CatalogQuery& query, std::size_t page) {
  std::string place = "/?page=" + std::to_string(page);
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) place += "&" + std::string(name) + "=" + percent_encode(value);
  };
  add("q", query.text);
  add("kind", query.kind);
  add("task", query.task);
  add("library", query.library);
  add("license", query.licence);
  add("author", query.author);
  return place;
}

CatalogRows find_catalog_rows(const Call& call, const CatalogQuery& query) {
  const auto may_see = seen_by(call);
  if (is_everything(query) && !may_see) {
    if (auto all = list_everything(call, query)) return *std::move(all);
  }
  SearchIndex* index = call.services.search;
  SearchQuery search = list_of(query).search;
  const bool is_shown = rows_before(query) < query.rows_max;
  search.skip = is_shown ? rows_before(query) : 0;
  search.limit = is_shown ? kCatalogPageRows : 0;
  search.count_max = query.rows_max + 1;  // whether there are more
  const auto result = index == nullptr ? std::nullopt : index->search(search, may_see);
  if (!result) return look_for_rows(call, query);
  const auto& catalog = call.services.store.catalog();
  CatalogRows found = counted_rows(query, result->matches);
  for (const SearchHit& hit : result->hits) {
    if (auto record = catalog.find_repository(hit.id))
      found.rows.push_back(read_facts(catalog, *std::move(record), std::nullopt));
  }
  found.any = result->matches > 0 || any_repository(call);
  return found;
}

CatalogChoices find_catalog_choices(const Call& call, const CatalogQuery& query) {
  std::set<std::string> tasks, libraries, licences;
  for (const RepoKind kind : kKinds) {
    const bool wanted = kind_of(query).value_or(kind) == kind;
    if (!wanted || call.services.search == nullptr) continue;
    const auto tags = call.services.search->tags(kind, kCatalogChoicesMax, seen_by(call));
    if (!tags) continue;
    for (const auto& [type, id] : *tags) {
      if (type == "pipeline_tag") tasks.insert(id);
      if (type == "library") libraries.insert(id);
      if (type == "license") licences.insert(label_of_tag(type, id));
    }
  }
  return {.tasks = {tasks.begin(), tasks.end()},
          .libraries = {libraries.begin(), libraries.end()},
          .licences = {licences.begin(), licences.end()}};
}

}  // namespace holdfast::web
