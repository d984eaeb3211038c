#include "storage/repo_id.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"

namespace holdfast::storage {
namespace {

TEST_CASE("storage/repo_id: names read as the hub reads them") {
  struct Case {
    const char* text;
    const char* id;
  };

  const Case cases[] = {{"gpt2", "model/gpt2"},
                        {"owner/name", "model/owner/name"},
                        {"model/owner/name", "model/owner/name"},
                        {"models/gpt2", "model/gpt2"},
                        {"dataset/owner/name", "dataset/owner/name"},
                        {"datasets/squad", "dataset/squad"},
                        {"Owner_1/na.me-1_x", "model/Owner_1/na.me-1_x"}};
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(to_text(parse_repo_id(c.text)) == c.id);
    const RepoId id = parse_repo_id(c.text);
    CHECK(find_repo_id(id.kind, id.full_name()) == id);
  }
}

TEST_CASE("storage/repo_id: names that break a rule are refused") {
  const std::string bad[] = {"",
                             "/",
                             "a/",
                             "/a",
                             "a/b/c",
                             "a b",
                             "ü/x",
                             "a--b/c",
                             "a/b..c",
                             "-a/b",
                             "a/b-",
                             ".a/b",
                             "a/b.",
                             "a/b.git",
                             "api/x",
                             "v2/x",
                             "spaces/x",
                             "-/x",
                             "datasets/",
                             "a/../b",
                             "a/" + std::string(95, 'x'),
                             std::string("a\0b", 3)};
  for (const std::string& text : bad) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_repo_id(text), Error);
    CHECK(!find_repo_id(RepoKind::Model, text));
  }
  CHECK(parse_repo_id("a/" + std::string(94, 'x')).name.size() == 94);
}

}  // namespace
}  // namespace holdfast::storage
