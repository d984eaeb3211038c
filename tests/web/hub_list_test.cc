#include <cstdlib>

#include <doctest/doctest.h>

#include "storage/repo_id.h"
#include "tests/web/asking.h"
#include "web/handler.h"
#include "web/search_index.h"

namespace holdfast::web {
namespace {

using tests::Asking;
using tests::json_of;

std::string text(std::string_view view) { return std::string(view); }

std::string ids_of(const Response& response) {
  std::string all;
  const Json page = json_of(response);
  for (const Json& entry : page.as_array()) all += entry.find("id")->as_string() + " ";
  return all;
}

struct Known {
  const char* id;
  int downloads;
  int likes;
  int trending;
  int modified, created, updated;  // months of 2026
  const char* gated;
};

// Four models in an order of their own by each field; "c/3" and "d/4" are downloaded alike.
constexpr Known kKnown[] = {
    {"a/1", 50, 9, 3, 3, 2, 4, ""},
    {"b/2", 7, 1000, 40, 1, 4, 3, "auto"},
    {"c/3", 600, 80, 500, 2, 1, 1, ""},
    {"d/4", 600, 8, 2, 4, 3, 2, "manual"},
};

Time month(int number) {
  return *parse_time("2026-0" + std::to_string(number) + "-01T00:00:00.000Z");
}

void publish_known(storage::Store& store) {
  auto& catalog = store.catalog();
  for (const Known& known : kKnown) {
    const Json card = Json::Object{{"parameters", Json::Object{{"total", known.downloads * 1000}}}};
    const auto commit = tests::publish(store, {.id = known.id,
                                               .files = {{"f", known.id}},
                                               .facts = {{"card", card}},
                                               .created_at = month(known.created)});
    const auto id = storage::parse_repo_id(known.id);
    storage::Publication again{.repository = *catalog.find_repository(id),
                               .revision = *catalog.find_revision(id, commit),
                               .files = catalog.files(id, commit, "")};
    again.repository.upstream_info.set("downloads", known.downloads);
    again.repository.upstream_info.set("likes", known.likes);
    again.repository.upstream_info.set("trendingScore", known.trending);
    again.repository.updated_at = month(known.updated);
    again.repository.gated = known.gated;
    again.revision.time = month(known.modified);
    catalog.publish(again);
  }
}

// Every id of a list, page after page.
std::string follow(const Asking& hub, std::string target) {
  std::string all;
  for (int pages = 0; pages < 20; ++pages) {
    const Response page = hub.get(target);
    REQUIRE(page.status == 200);
    all += ids_of(page);
    const std::string link = text(page.header("Link"));
    if (link.empty()) return all;
    const auto path = link.find("/api/");
    target = link.substr(path, link.find('>') - path);
  }
  return "no end";
}

}  // namespace

TEST_CASE("web/hub_list: lists filter and page") {
  const Asking hub;
  const auto ids = [&](const std::string& query) { return ids_of(hub.get("/api/models" + query)); };
  CHECK(ids("") == "Example/CamelCase gpt2 org/tiny ");
  CHECK(ids("?search=TIN") == "org/tiny ");
  CHECK(ids("?author=org") == "org/tiny ");
  CHECK(ids("?filter=gguf") == "org/tiny ");
  CHECK(ids("?pipeline_tag=none") == "");
  const Response first = hub.ask({.target = "/api/models?limit=2", .headers = {{"Host", "h:1"}}});
  CHECK(json_of(first).as_array().size() == 2);
  CHECK(text(first.header("Link")) == "<http://h:1/api/models?limit=2&cursor=gpt2>; rel=\"next\"");
  const Response last = hub.get("/api/models?limit=2&cursor=gpt2");
  CHECK(json_of(last).as_array().size() == 1);
  CHECK(last.header("Link").empty());
  CHECK(json_of(hub.get("/api/datasets")).as_array().size() == 1);
}

TEST_CASE("web/hub_list: lists sort by what the client names, page by page, by index and without") {
  struct Case {
    const char* query;
    const char* ids;
  };

  constexpr Case kCases[] = {
      {"sort=downloads", "c/3 d/4 a/1 b/2 "},
      {"sort=downloads&direction=-1", "c/3 d/4 a/1 b/2 "},
      {"sort=downloads&direction=1", "b/2 a/1 c/3 d/4 "},
      {"sort=lastModified", "d/4 a/1 c/3 b/2 "},
      {"sort=lastModified&direction=1", "b/2 c/3 a/1 d/4 "},
      {"sort=createdAt", "b/2 d/4 a/1 c/3 "},
      {"sort=createdAt&direction=1", "c/3 a/1 d/4 b/2 "},
      {"sort=updatedAt", "a/1 b/2 d/4 c/3 "},
      {"sort=updatedAt&direction=1", "c/3 d/4 b/2 a/1 "},
      {"sort=likes", "b/2 c/3 a/1 d/4 "},
      {"sort=likes&direction=1", "d/4 a/1 c/3 b/2 "},
      {"sort=trendingScore", "c/3 b/2 a/1 d/4 "},
      {"sort=trendingScore&direction=1", "d/4 a/1 b/2 c/3 "},
      {"sort=id", "a/1 b/2 c/3 d/4 "},
      {"sort=id&direction=-1", "d/4 c/3 b/2 a/1 "},
      {"", "a/1 b/2 c/3 d/4 "},
      {"gated=true", "b/2 d/4 "},
      {"gated=false", "a/1 c/3 "},
      {"num_parameters=min:10K", "a/1 c/3 d/4 "},
      {"num_parameters=min:10K,max:0.1M", "a/1 "},
      {"num_parameters=max:7000", "b/2 "},
      {"search=/3&search=C", "c/3 "},
      {"filter=none,other", ""},
  };
  Asking hub;
  const auto& store = hub.sample.store;
  publish_known(*store);
  SearchIndex index(*store);
  index.start();
  REQUIRE(index.wait_until_whole());
  for (const Case& c : kCases) {
    for (const int limit : {-1000, -3, -1, 1, 2, 3, 4, 1000}) {
      CAPTURE(std::string(c.query));
      CAPTURE(limit);
      hub.services.search = limit > 0 ? &index : nullptr;
      const std::string target = "/api/models?search=/&" + std::string(c.query) +
                                 "&limit=" + std::to_string(std::abs(limit));
      std::string ids = follow(hub, target);
      for (const char* other : {"Example/CamelCase ", "org/tiny "}) {
        if (const auto at = ids.find(other); at != std::string::npos)
          ids.erase(at, text(other).size());
      }
      CHECK(ids == c.ids);
    }
  }
  for (const char* bad : {"sort=nonsense", "direction=2&sort=id", "num_parameters=6B",
                          "num_parameters=min:x", "num_parameters=min:1Z"}) {
    CAPTURE(std::string(bad));
    CHECK(hub.get("/api/models?" + std::string(bad)).status == 400);
  }
}

}  // namespace holdfast::web
