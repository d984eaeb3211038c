// The list of repositories (hub-protocol 4.6): filtered, sorted, in pages. In the order of names,
// without a filter, the catalog says it; else the index of words, or, while there is none, who
// looks through the whole catalog.
#include <algorithm>
#include <optional>

#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/list_query.h"
#include "web/internal/repository_json.h"
#include "web/limits.h"
#include "web/search_index.h"

namespace holdfast::web {
namespace {

struct Page {
  Json::Array entries;
  std::string next;  // cursor; "" on the last page
};

class PageWriter {
 public:
  explicit PageWriter(const Call& call)
      : call_(call),
        expand_(call.query.all("expand")),
        shown_(call.query.flag("full") ? Shown::Info : Shown::List) {
    check_expand(expand_);
    for (const char* field : {"cardData", "config"}) {
      if (call.query.flag(field)) also_.emplace_back(field);
    }
  }

  void add(Page& page, const RepositoryFacts& facts) const {
    const FieldSource source{
        .facts = facts, .catalog = call_.services.store.catalog(), .call = call_, .listed = true};
    page.entries.push_back(repository_json(source, expand_, shown_, also_));
  }

 private:
  const Call& call_;
  std::vector<std::string> expand_;
  std::vector<std::string> also_;
  Shown shown_;
};

// Of those that may be seen: whether the gate is as it was asked for.
bool has_gate(const Call& call, const ListQuery& list, const storage::RepositoryRecord& record) {
  return !list.gated || *list.gated != gate_text(call, record).empty();
}

// Calls `visit` with the facts of each repository that belongs to the list, in name order, until it
// returns false.
template <class Visit>
void visit_repositories(const Call& call, const ListQuery& list, const std::string& after,
                        Visit visit) {
  const auto& catalog = call.services.store.catalog();
  storage::Catalog::ListQuery query{
      .kind = call.match.kind, .owner = list.search.owner, .after = after, .limit = kListPage};
  while (true) {
    auto records = catalog.list_repositories(query);
    const bool last = records.size() < query.limit;
    if (!last) query.after = records.back().id.full_name();
    for (auto& record : records) {
      if (!may_see(call, record.id) || !has_gate(call, list, record)) continue;
      const RepositoryFacts facts = read_facts(catalog, std::move(record), std::nullopt);
      if (list.takes(facts) && !visit(facts)) return;
    }
    if (last) return;
  }
}

// The catalog's own order: a page costs no more than its rows.
Page page_by_name(const Call& call, const ListQuery& list) {
  const PageWriter writer(call);
  Page page;
  std::string last;
  const std::string after = list.search.after ? list.search.after->name : "";
  visit_repositories(call, list, after, [&](const RepositoryFacts& facts) {
    if (page.entries.size() == list.search.limit) {
      page.next = last;
      return false;
    }
    writer.add(page, facts);
    last = facts.repository.id.full_name();
    return true;
  });
  return page;
}

struct Row {
  SortRow row;
  std::string place;  // in the order
};

// The rows after the cursor, sorted, but no more than `rows_max` of them.
std::vector<Row> sorted_rows(const Call& call, const ListQuery& list, std::size_t rows_max) {
  const SortOrder& order = *list.search.order;
  const auto before = [](const Row& a, const Row& b) { return a.place < b.place; };
  const std::string after = list.search.after ? order.place(*list.search.after) : "";
  std::vector<Row> rows;
  visit_repositories(call, list, "", [&](const RepositoryFacts& facts) {
    Row row{{.key = info(order.field).key(facts), .name = facts.repository.id.full_name()}, ""};
    row.place = order.place(row.row);
    if (row.place > after) rows.push_back(std::move(row));
    // Only the first rows matter: what lies behind them is dropped now and then.
    if (rows.size() == rows_max + kListPage) {
      std::ranges::nth_element(rows, rows.begin() + static_cast<std::ptrdiff_t>(rows_max), before);
      rows.resize(rows_max);
    }
    return true;
  });
  std::ranges::sort(rows, before);
  if (rows.size() > rows_max) rows.resize(rows_max);
  return rows;
}

// As the index finds them; nothing where there is none.
std::optional<std::vector<Row>> found_rows(const Call& call, const ListQuery& list,
                                           std::size_t rows_max) {
  if (call.services.search == nullptr) return std::nullopt;
  const auto& catalog = call.services.store.catalog();
  SearchIndex::MaySee wanted = seen_by(call);
  if (list.gated) {
    wanted = [&](const storage::RepoId& id) {
      const auto record = may_see(call, id) ? catalog.find_repository(id) : std::nullopt;
      return record && has_gate(call, list, *record);
    };
  }
  SearchQuery query = list.search;
  query.limit = rows_max;
  auto found = call.services.search->search(query, wanted);
  if (!found) return std::nullopt;
  std::vector<Row> rows;
  for (SearchHit& hit : found->hits)
    rows.push_back({{.key = std::move(hit.key), .name = hit.id.full_name()}, ""});
  return rows;
}

Page page_of_rows(const Call& call, const ListQuery& list) {
  const PageWriter writer(call);
  const auto& catalog = call.services.store.catalog();
  const std::size_t limit = list.search.limit;
  auto found = found_rows(call, list, limit + 1);
  auto rows = found ? *std::move(found) : sorted_rows(call, list, limit + 1);
  Page page;
  if (rows.size() > limit) {
    rows.resize(limit);
    page.next = cursor_text(*list.search.order, rows.back().row);
  }
  for (const Row& row : rows) {
    const auto id = storage::find_repo_id(call.match.kind, row.row.name);
    auto record = id ? catalog.find_repository(*id) : std::nullopt;
    if (record) writer.add(page, read_facts(catalog, *std::move(record), std::nullopt));
  }
  return page;
}

}  // namespace

Response list_hub_repositories(const Call& call) {
  const ListQuery list = read_list_query(call, page_limit(call, kListPage));
  Page page;
  if (!list.nothing) page = list.is_plain() ? page_by_name(call, list) : page_of_rows(call, list);
  Response response = json_response(std::move(page.entries));
  if (!page.next.empty()) response.set("Link", next_link(call, "cursor", page.next));
  return response;
}

}  // namespace holdfast::web
