// The list on the catalog page where it is longer than can be paged through.
#include <set>

#include <doctest/doctest.h>

#include "storage/limits.h"
#include "tests/web/asking.h"
#include "web/internal/catalog_rows.h"
#include "web/internal/handlers.h"
#include "web/limits.h"
#include "web/routes.h"
#include "web/search_index.h"

namespace holdfast::web {
namespace {

using tests::body_of;
using tests::json_of;

// What can be paged through here: what holds of few holds of as many as there are.
static_assert(kSearchCountMax == 10'000 && kSearchCountMax % kCatalogPageRows == 0);
constexpr std::size_t kRowsMax = 4 * kCatalogPageRows;
constexpr std::size_t kLastPage = kRowsMax / kCatalogPageRows;
constexpr std::string_view kNarrow = "Only the first 200 can be paged through. Narrow the search";

// Repositories of one owner, all alike but for their names.
struct Many : tests::Asking {
  storage::Publication row;
  std::size_t count = 0;

  Many() {
    const auto& catalog = sample.store->catalog();
    row.repository = *catalog.find_repository(storage::parse_repo_id("gpt2"));
    row.revision = *catalog.find_revision(row.repository.id, sample.commit("gpt2"));
    row.refs = {{.name = "refs/heads/main", .commit = row.revision.commit}};
    row.repository.id.owner = "many";
  }

  void grow_to(std::size_t repositories) {
    while (count < repositories) {
      std::vector<storage::Publication> rows;
      for (; count < repositories && rows.size() < storage::kPublicationsMax; ++count) {
        row.repository.id.name = "m" + std::to_string(count);
        rows.push_back(row);
      }
      sample.store->catalog().publish_all(rows);
    }
  }

  std::string page(std::size_t number) const {
    const std::string target = "/?author=many&page=" + std::to_string(number);
    const Request request{.method = "GET", .target = target};
    const auto match = web::match(request.method, "/");
    const Call call{.request = request,
                    .services = services,
                    .match = *match,
                    .query = Parameters::parse(std::string_view(target).substr(2))};
    CatalogQuery query = read_catalog_query(call);
    CHECK(query.rows_max == kSearchCountMax);
    query.rows_max = kRowsMax;
    return body_of(catalog_page(call, query));
  }
};

std::size_t rows_of(const std::string& page) {
  constexpr std::string_view kRow = "<a class=\"row\"";
  std::size_t rows = 0;
  for (auto at = page.find(kRow); at != page.npos; at = page.find(kRow, at + 1)) ++rows;
  return rows;
}

bool has(const std::string& page, std::string_view text) { return page.find(text) != page.npos; }

// What the list's next page is asked with; "" on the last one.
std::string next_of(const Response& response) {
  const std::string_view link = response.header("Link");
  const auto path = link.find("/api/");
  return path == link.npos ? "" : std::string(link.substr(path, link.find('>') - path));
}

}  // namespace

TEST_CASE("web/catalog_page: what can be paged through ends, says so, and shows no row again") {
  for (const bool more : {false, true}) {
    Many hub;
    hub.grow_to(kRowsMax + (more ? 3 : 0));
    SearchIndex index(*hub.sample.store);
    index.start();
    REQUIRE(index.wait_until_whole());
    for (const bool indexed : {true, false}) {
      CAPTURE(more);
      CAPTURE(indexed);
      hub.services.search = indexed ? &index : nullptr;
      const std::string before = hub.page(kLastPage - 1);
      CHECK(has(before, "rel=\"next\""));
      CHECK_FALSE(has(before, kNarrow));
      const std::string last = hub.page(kLastPage);
      CHECK(rows_of(last) == kCatalogPageRows);
      CHECK_FALSE(has(last, "rel=\"next\""));
      CHECK(has(last, kNarrow) == more);
      for (const std::size_t behind : {kLastPage + 1, kLastPage + 2, std::size_t{1'000'000'000}}) {
        CAPTURE(behind);
        const std::string none = hub.page(behind);
        CHECK(rows_of(none) == 0);
        CHECK(has(none, "The list ends before"));
        CHECK(has(none, kNarrow) == more);
        CHECK(has(none, "href=\"/?page=" + std::to_string(kLastPage) + "&amp;author=many\""));
      }
    }
  }
}

TEST_CASE("web/catalog_page: lists for programs go on to the end, each row once") {
  Many hub;
  const std::size_t all = kRowsMax + 3;
  hub.grow_to(all);
  SearchIndex index(*hub.sample.store);
  index.start();
  REQUIRE(index.wait_until_whole());
  hub.services.search = &index;
  for (const char* query : {"author=many", "author=many&sort=lastModified", "search=many"}) {
    CAPTURE(query);
    std::set<std::string> seen;
    std::size_t rows = 0;
    std::string target = std::string("/api/models?expand=author&limit=50&") + query;
    while (!target.empty() && rows <= all) {
      const Response response = hub.get(target);
      const Json page = json_of(response);
      rows += page.as_array().size();
      for (const Json& entry : page.as_array()) seen.insert(entry.find("id")->as_string());
      target = next_of(response);
    }
    CHECK(rows == all);
    CHECK(seen.size() == all);
  }
}

}  // namespace holdfast::web
