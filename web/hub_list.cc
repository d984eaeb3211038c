// The list of repositories (hub-protocol 4.6): filtered, sorted, in pages.
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/repository_facts.h"
#include "web/internal/repository_json.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  const auto same = [](unsigned char a, unsigned char b) {
    return std::tolower(a) == std::tolower(b);
  };
  return !std::ranges::search(text, part, same).empty();
}

std::string count_key(const RepositoryFacts& facts, std::string_view field) {
  const Json count = facts.upstream(field);
  return fmt::format("{:020}", count.is_integer() && count.as_int() > 0 ? count.as_uint() : 0);
}

// A text that sorts as the field does.
struct SortField {
  std::string_view name;
  std::string (*key)(const RepositoryFacts&);
  bool ascending = false;  // unless "direction" says otherwise
};

constexpr SortField kSortFields[] = {
    {"lastModified", [](const RepositoryFacts& f) { return f.last_modified(); }},
    {"createdAt", [](const RepositoryFacts& f) { return to_text(f.repository.created_at); }},
    {"downloads", [](const RepositoryFacts& f) { return count_key(f, "downloads"); }},
    {"likes", [](const RepositoryFacts& f) { return count_key(f, "likes"); }},
    {"trendingScore", [](const RepositoryFacts& f) { return count_key(f, "trendingScore"); }},
    {"id", [](const RepositoryFacts&) { return std::string(); }, true},
};

struct Order {
  const SortField* field = nullptr;
  bool ascending = true;
};

Order order_of(const Call& call) {
  const std::string* sort = call.query.find("sort");
  const std::string name = sort == nullptr ? "id" : *sort;
  const auto* field = std::ranges::find(kSortFields, name, &SortField::name);
  if (field == std::end(kSortFields)) refuse(400, "", "sort: unknown value \"" + name + "\"");
  const std::string* direction = call.query.find("direction");
  if (direction == nullptr) return {.field = field, .ascending = field->ascending};
  if (*direction != "1" && *direction != "-1") {
    refuse(400, "", "direction: expected 1 or -1, found \"" + *direction + "\"");
  }
  return {.field = field, .ascending = *direction == "1"};
}

// "6B" of "min:6B,max:128B".
std::optional<double> parse_count(std::string_view text) {
  constexpr std::string_view kUnits = " KMBT";
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.empty()) return value;
  const auto power = kUnits.find(static_cast<char>(std::toupper(unit.front())), 1);
  if (unit.size() != 1 || power == kUnits.npos) return std::nullopt;
  for (std::size_t i = 0; i < power; ++i) value *= 1000;
  return value;
}

struct ListFilter {
  std::vector<std::string> search;
  std::vector<std::string> tags;
  std::optional<bool> gated;
  std::optional<double> parameters_min, parameters_max;

  bool names(const storage::RepoId& id) const {
    const std::string name = id.full_name();
    return std::ranges::all_of(
        search, [&](const std::string& part) { return contains_ignoring_case(name, part); });
  }

  bool takes(const RepositoryFacts& facts) const {
    if (gated && *gated == facts.repository.gated.empty()) return false;
    return tagged(facts) && sized(facts);
  }

 private:
  bool tagged(const RepositoryFacts& facts) const {
    if (tags.empty()) return true;
    const Json::Array have = facts.tags();
    const Json pipeline = facts.text("pipeline_tag");
    const Json library = facts.text("library_name");
    return std::ranges::all_of(tags, [&](const std::string& tag) {
      return pipeline == Json(tag) || library == Json(tag) ||
             std::ranges::find(have, Json(tag)) != have.end();
    });
  }

  // A model whose size nobody knows is in no range of sizes.
  bool sized(const RepositoryFacts& facts) const {
    if (!parameters_min && !parameters_max) return true;
    const auto total = static_cast<double>(facts.parameters_total());
    return total > 0 && total >= parameters_min.value_or(0) &&
           total <= parameters_max.value_or(total);
  }
};

void read_size_range(std::string_view text, ListFilter& filter) {
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    const auto bound = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto count = bound.size() > 4 ? parse_count(bound.substr(4)) : std::nullopt;
    if (count && bound.starts_with("min:")) {
      filter.parameters_min = count;
    } else if (count && bound.starts_with("max:")) {
      filter.parameters_max = count;
    } else {
      refuse(
          400, "",
          R"(num_parameters: expected "min:6B,max:128B", found ")" + std::string(bound) + R"(")");
    }
  }
}

ListFilter list_filter(const Call& call) {
  ListFilter filter{.search = call.query.all("search")};
  for (const char* key : {"filter", "pipeline_tag", "library"}) {
    for (const auto& tags : call.query.all(key)) {
      for (std::string_view rest = tags; !rest.empty();) {
        const auto end = std::min(rest.find(','), rest.size());
        if (end > 0) filter.tags.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
    }
  }
  if (call.query.find("gated") != nullptr) filter.gated = call.query.flag("gated");
  if (const auto* range = call.query.find("num_parameters")) read_size_range(*range, filter);
  return filter;
}

// Calls `visit` with the facts of each repository that the filter takes, in name order, until it
// returns false.
template <class Visit>
void visit_repositories(const Call& call, const std::string& after, Visit visit) {
  const auto& catalog = call.services.store.catalog();
  const ListFilter filter = list_filter(call);
  storage::Catalog::ListQuery query{.kind = call.match.kind, .after = after, .limit = kListPage};
  if (const auto* author = call.query.find("author")) query.owner = *author;
  while (true) {
    auto records = catalog.list_repositories(query);
    const bool last = records.size() < query.limit;
    if (!last) query.after = records.back().id.full_name();
    for (auto& record : records) {
      if (!filter.names(record.id) || !may_see(call, record.id)) continue;
      const RepositoryFacts facts = read_facts(catalog, std::move(record), std::nullopt);
      if (filter.takes(facts) && !visit(facts)) return;
    }
    if (last) return;
  }
}

struct Row {
  std::string key;   // of the field that the list is sorted by
  std::string name;  // decides between equal keys
};

// All rows after the cursor, sorted, but no more than `rows_max` of them.
std::vector<Row> sorted_rows(const Call& call, const Order& order, std::size_t rows_max) {
  const auto before = [&](const Row& a, const Row& b) {
    if (a.key != b.key) return order.ascending ? a.key < b.key : b.key < a.key;
    if (order.field->ascending && !order.ascending) return b.name < a.name;
    return a.name < b.name;
  };
  std::optional<Row> cursor;
  if (const auto* text = call.query.find("cursor")) {
    const auto comma = std::min(text->find(','), text->size());
    cursor = Row{text->substr(0, comma), text->substr(std::min(comma + 1, text->size()))};
  }
  std::vector<Row> rows;
  visit_repositories(call, "", [&](const RepositoryFacts& facts) {
    Row row{order.field->key(facts), facts.repository.id.full_name()};
    if (!cursor || before(*cursor, row)) rows.push_back(std::move(row));
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
  }

  Json entry(const RepositoryFacts& facts) const {
    const FieldSource source{
        .facts = facts, .catalog = call_.services.store.catalog(), .call = call_};
    return repository_json(source, expand_, shown_);
  }

 private:
  const Call& call_;
  std::vector<std::string> expand_;
  Shown shown_;
};

// By name the catalog's own order does, and a page costs no more than its rows.
Page page_by_name(const Call& call, std::size_t limit) {
  const PageWriter writer(call);
  const std::string* cursor = call.query.find("cursor");
  Page page;
  std::string last;
  visit_repositories(call, cursor == nullptr ? "" : *cursor, [&](const RepositoryFacts& facts) {
    if (page.entries.size() == limit) {
      page.next = last;
      return false;
    }
    page.entries.push_back(writer.entry(facts));
    last = facts.repository.id.full_name();
    return true;
  });
  return page;
}

Page page_by_field(const Call& call, const Order& order, std::size_t limit) {
  const PageWriter writer(call);
  const auto& catalog = call.services.store.catalog();
  auto rows = sorted_rows(call, order, limit + 1);
  Page page;
  if (rows.size() > limit) {
    rows.resize(limit);
    page.next = rows.back().key + "," + rows.back().name;
  }
  for (const Row& row : rows) {
    const auto id = storage::find_repo_id(call.match.kind, row.name);
    auto record = id ? catalog.find_repository(*id) : std::nullopt;
    if (!record) continue;
    page.entries.push_back(writer.entry(read_facts(catalog, *std::move(record), std::nullopt)));
  }
  return page;
}

}  // namespace

Response list_hub_repositories(const Call& call) {
  const std::size_t limit = page_limit(call, kListPage);
  const Order order = order_of(call);
  const bool by_name = order.field->name == "id" && order.ascending;
  Page page = by_name ? page_by_name(call, limit) : page_by_field(call, order, limit);
  Response response = json_response(std::move(page.entries));
  if (!page.next.empty()) response.set("Link", next_link(call, "cursor", page.next));
  return response;
}

}  // namespace holdfast::web
