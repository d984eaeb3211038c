#include "web/hot_files.h"

#include <doctest/doctest.h>

#include "tests/web/asking.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using tests::Asking;
using tests::body_of;

}  // namespace

TEST_CASE("web/hot_files: a file asked for again is answered alike, until something is published") {
  Asking hub;
  HotFiles hot;
  hub.services.hot_files = &hot;
  const std::string target = "/org/tiny/resolve/main/config.json";
  const auto all_headers = [](const Response& response) {
    std::string all = response.header_lines == nullptr ? "" : *response.header_lines;
    for (const auto& [name, value] : response.headers) all.append(name + ": " + value + "\n");
    return all;
  };
  const std::vector<std::vector<Header>> requests{{},
                                                  {{"Range", "bytes=2-5"}},
                                                  {{"Range", "bytes=999-"}},
                                                  {{"If-None-Match", "*"}},
                                                  {{"Range", "bytes=0-0"}, {"If-Range", "\"x\""}}};
  CHECK_FALSE(handle_hot({.target = target}, hub.services).has_value());
  for (const auto& headers : requests) {
    hub.services.hot_files = nullptr;
    const Response cold = hub.ask({.target = target, .headers = headers});
    hub.services.hot_files = &hot;
    hub.get(target);
    const auto known =
        handle_hot({.target = target, .headers = headers, .id = "id-1"}, hub.services);
    REQUIRE(known.has_value());
    CHECK(known->status == cold.status);
    CHECK(known->route == cold.route);
    CHECK(all_headers(*known) == all_headers(cold));
    CHECK(body_of(*known) == body_of(cold));
  }
  CHECK_FALSE(handle_hot({.method = "POST", .target = target}, hub.services).has_value());
  CHECK_FALSE(handle_hot({.target = target + "?download=true"}, hub.services).has_value());

  hub.sample.store->catalog().put_facts(storage::parse_repo_id("org/tiny"),
                                        hub.sample.commit("org/tiny"), {});
  CHECK(handle_hot({.target = target}, hub.services).has_value());
  tests::publish(*hub.sample.store,
                 {.id = "org/tiny", .files = {{"config.json", "{\"new\": 1}"}}, .facts = {}});
  CHECK_FALSE(handle_hot({.target = target}, hub.services).has_value());
  CHECK(body_of(hub.get(target)) == "{\"new\": 1}");
  CHECK(body_of(*handle_hot({.target = target}, hub.services)) == "{\"new\": 1}");
}

TEST_CASE("web/hot_files: a full table starts again") {
  HotFiles hot;
  const auto file_of = [](std::uint64_t size_bytes) {
    auto file = std::make_shared<HotFile>();
    file->version.size_bytes = size_bytes;
    return file;
  };
  const auto held = [&](std::size_t count) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) found += hot.find(std::to_string(i), 1) != nullptr;
    return found;
  };
  const auto fill = [&](std::size_t count, std::uint64_t size_bytes) {
    for (std::size_t i = 0; i < count; ++i) hot.put(std::to_string(i), 1, file_of(size_bytes));
  };
  fill(kHotFilesMax, 1);
  CHECK(held(kHotFilesMax) == kHotFilesMax);
  fill(kHotFilesMax + 1, 1);
  CHECK(held(kHotFilesMax + 1) == 1);
  fill(2 * kHotOpenFilesMax, 1'000'000'000);
  CHECK(held(kHotFilesMax) <= kHotOpenFilesMax);
  fill(1000, 200'000);
  CHECK(held(1000) * 200'000 <= kHotBytesMax);
  // A look-up that a publication overtook is not believed.
  hot.put("late", 0, file_of(1));
  CHECK(hot.find("late", 0) == nullptr);
  hot.put("new", 2, file_of(1));
  CHECK(held(1000) == 0);
  CHECK(hot.find("new", 2) != nullptr);
}

}  // namespace holdfast::web
