// The list of a repository's LFS objects, page by page.
#include <set>

#include <doctest/doctest.h>

#include "tests/web/asking.h"

namespace holdfast::web {
namespace {

using tests::json_of;

const std::string kTarget = "/api/models/org/many/lfs-files";

// Three revisions: the second takes a file away and brings another, the third has the same files.
struct Site : tests::Asking {
  Site() {
    const std::vector<tests::SampleFile> first{{"a.bin", "aaaa", true},
                                               {"b.bin", "bbbb", true},
                                               {"copy-of-a.bin", "aaaa", true},
                                               {"text.txt", "text\n"}};
    const std::vector<tests::SampleFile> second{{"b.bin", "bbbb", true}, {"c.bin", "cc", true}};
    const GitOid one =
        tests::publish(*sample.store, {.id = "org/many", .files = first, .facts = {}});
    const GitOid two = tests::publish(
        *sample.store, {.id = "org/many", .files = second, .facts = {}, .parents = {one}});
    tests::publish(*sample.store,
                   {.id = "org/many", .files = second, .facts = {}, .parents = {two}});
  }

  // "name:size " of all pages together, by name; and how many pages there are.
  std::string pages(const std::string& limit) const {
    std::set<std::string> rows;
    std::size_t pages = 0;
    for (std::string target = kTarget + "?limit=" + limit; !target.empty(); ++pages) {
      const Response page = get(target);
      REQUIRE(page.status == 200);
      const Json list = json_of(page);
      for (const Json& row : list.as_array()) {
        const std::string name = row.find("filename")->as_string();
        CHECK(rows.insert(name + ":" + to_text(*row.find("size"))).second);
      }
      const std::string link(page.header("Link"));
      const auto at = link.find(kTarget);
      target = at == link.npos ? "" : link.substr(at, link.find('>') - at);
    }
    std::string all;
    for (const std::string& row : rows) all += row + " ";
    return all + std::to_string(pages);
  }
};

}  // namespace

TEST_CASE("web/hub_settings: each LFS object is listed once, as the newest revision has it") {
  const Site hub;
  const std::string rows = "a.bin:4 b.bin:4 c.bin:2 ";
  CHECK(hub.pages("1000") == rows + "1");
  CHECK(hub.pages("3") == rows + "1");
  CHECK(hub.pages("2") == rows + "2");
  CHECK(hub.pages("1") == rows + "3");
  CHECK(json_of(hub.get(kTarget + "?cursor=3")).as_array().empty());
  CHECK(json_of(hub.get(kTarget + "?cursor=99999999999999999999999")).as_array().empty());
}

}  // namespace holdfast::web
