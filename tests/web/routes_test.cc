#include "web/routes.h"

#include <set>

#include <doctest/doctest.h>

namespace holdfast::web {
namespace {

using storage::RepoKind;

struct Case {
  const char* method;
  const char* target;
  const char* route;  // its name; "" no row, "405" another method
  RepoKind kind = RepoKind::Model;
  const char* repo = "";
  const char* revision = "";
  const char* path = "";
};

constexpr RepoKind kDataset = RepoKind::Dataset;
constexpr RepoKind kModel = RepoKind::Model;

constexpr Case kCases[] = {
    {"GET", "/o/n/resolve/main/a.json", "resolve", kModel, "o/n", "main", "a.json"},
    {"HEAD", "/o/n/resolve/main/a.json", "resolve", kModel, "o/n", "main", "a.json"},
    {"GET", "/o/n/resolve/main/d/e/a.json?download=true", "resolve", kModel, "o/n", "main",
     "d/e/a.json"},
    {"GET", "/gpt2/resolve/main/a.json", "resolve", kModel, "gpt2", "main", "a.json"},
    {"GET", "/datasets/o/n/resolve/main/a", "resolve", kDataset, "o/n", "main", "a"},
    {"GET", "/datasets/squad/resolve/main/a", "resolve", kDataset, "squad", "main", "a"},
    {"GET", "/o/n/resolve/refs%2Fpr%2F1/a", "resolve", kModel, "o/n", "refs/pr/1", "a"},
    {"GET", "/o/n/resolve/refs/pr/1/a", "resolve", kModel, "o/n", "refs/pr/1", "a"},
    {"GET", "/o/n/resolve/refs/convert/parquet/a/b", "resolve", kModel, "o/n",
     "refs/convert/parquet", "a/b"},
    {"GET", "/o/n/resolve/main/resolve/main/x", "resolve", kModel, "o/n", "main", "resolve/main/x"},
    {"GET", "/o%2Fn/resolve/main/x", "resolve", kModel, "o/n", "main", "x"},
    {"GET", "/o/n/resolve/main/a%20b%23c", "resolve", kModel, "o/n", "main", "a b#c"},
    {"GET", "/o/n/resolve/main/../../x", "resolve", kModel, "o/n", "main", "../../x"},
    {"GET", "/o/n/resolve/main/%00", ""},
    {"GET", "/o/n/resolve/main/%zz", ""},
    {"POST", "/o/n/resolve/main/a", "405"},
    {"GET", "/o/n/raw/main/a", "raw", kModel, "o/n", "main", "a"},
    {"GET", "/api/models", "list"},
    {"GET", "/api/datasets?search=x", "list", kDataset},
    {"GET", "/api/models/o/n", "info", kModel, "o/n"},
    {"GET", "/api/models/gpt2", "info", kModel, "gpt2"},
    {"GET", "/api/models/gpt2/", "info", kModel, "gpt2"},
    {"GET", "/api/models/o/n/revision/main", "info", kModel, "o/n", "main"},
    {"GET", "/api/models/gpt2/revision/main", "info", kModel, "gpt2", "main"},
    {"GET", "/api/models/o/n/revision/refs%2Fpr%2F1", "info", kModel, "o/n", "refs/pr/1"},
    {"GET", "/api/datasets/o/n/tree/main", "tree", kDataset, "o/n", "main"},
    {"GET", "/api/models/o/n/tree/main/sub%2Fdir", "tree", kModel, "o/n", "main", "sub/dir"},
    {"GET", "/api/models/o/n/tree/main/sub/dir?recursive=True", "tree", kModel, "o/n", "main",
     "sub/dir"},
    {"GET", "/api/models/gpt2/tree/main", "tree", kModel, "gpt2", "main"},
    {"GET", "/api/models/o/n/refs", "refs", kModel, "o/n"},
    {"GET", "/api/models/gpt2/refs", "refs", kModel, "gpt2"},
    {"POST", "/api/models/o/n/paths-info/main", "paths-info", kModel, "o/n", "main"},
    {"GET", "/api/models/o/n/paths-info/main", "405"},
    {"GET", "/api/models/o/n/commits/main", "commits", kModel, "o/n", "main"},
    {"GET", "/api/whoami-v2", "whoami"},
    {"HEAD", "/api/telemetry/a/b", "telemetry", kModel, "", "", "a/b"},
    {"GET", "/api/collections/x", "unknown-api", kModel, "", "", "collections/x"},
    {"DELETE", "/api/repos/delete", "repo-delete"},
    {"GET", "/api/repos/delete", "405"},
    {"PUT", "/api/models/o/n/settings", "settings", kModel, "o/n"},
    {"POST", "/api/datasets/o/n/branch/a%2Fb", "branch-create", kDataset, "o/n", "a/b"},
    {"PUT", "/o/n.git/info/lfs/objects/12?part=1", "lfs-put", kModel, "o/n.git", "", "12"},
    {"POST", "/o/n.git/info/lfs/objects/batch", "lfs-batch", kModel, "o/n.git"},
    {"GET", "/api/models/o/n/xet-write-token/None", "xet-write-token", kModel, "o/n", "None"},
    {"GET", "/api", "model-page", kModel, "api"},
    {"GET", "/-/api/v1/repositories/model/o/n", "own-repository", kModel, "o/n"},
    {"GET", "/-/api/v1/repositories/dataset/o/n/evidence/main", "evidence", kDataset, "o/n",
     "main"},
    {"GET", "/-/api/v1/jobs/12", "job"},
    {"GET", "/-/api/v1/jobs/x", "unknown-api", kModel, "", "", "api/v1/jobs/x"},
    {"POST", "/-/api/v1/jobs/12/cancel", "job-cancel"},
    {"GET", "/-/api/v1/jobs/12/cancel", "405"},
    {"GET", "/", "catalog-page"},
    {"GET", "/o/n", "model-page", kModel, "o/n"},
    {"GET", "/datasets/o/n", "model-page", kDataset, "o/n"},
    {"GET", "/o/n/tree/main", "tree-page", kModel, "o/n", "main"},
    {"GET", "/o/n/tree/main/a/b", "tree-page", kModel, "o/n", "main", "a/b"},
    {"GET", "/o/n/blob/main/a/b", "blob-page", kModel, "o/n", "main", "a/b"},
    {"GET", "/a/b/c/d", ""},
    {"GET", "/a//b", ""},
    {"GET", "nonsense", ""},
};

}  // namespace

TEST_CASE("web/routes: each target meets its row, with its holes decoded") {
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.method));
    CAPTURE(std::string(c.target));
    const auto found = match(c.method, c.target);
    if (std::string_view(c.route).empty()) {
      CHECK_FALSE(found.has_value());
      continue;
    }
    REQUIRE(found.has_value());
    if (std::string_view(c.route) == "405") {
      CHECK(found->route == nullptr);
      CHECK_FALSE(found->allow.empty());
      continue;
    }
    REQUIRE(found->route != nullptr);
    CHECK(found->route->name == c.route);
    CHECK(found->kind == c.kind);
    CHECK(found->repo == c.repo);
    CHECK(found->revision == c.revision);
    CHECK(found->path == c.path);
  }
}

TEST_CASE("web/routes: every row can be met and none hides another") {
  std::set<std::string> patterns;
  for (const Route& route : routes()) {
    CAPTURE(route.pattern);
    CHECK(static_cast<bool>(route.handler));
    CHECK(patterns.insert(std::string(route.method) + " " + std::string(route.pattern)).second);
    std::string target(route.pattern);
    for (const auto& [hole, text] : {std::pair{"{kinds}", "models"}, std::pair{"{kind}", "model"},
                                     std::pair{"{repo}", "owner/name"}, std::pair{"{rev}", "main"},
                                     std::pair{"{id}", "7"}, std::pair{"{path}", "x/y"}}) {
      if (const auto at = target.find(hole); at != std::string::npos) {
        target.replace(at, std::string_view(hole).size(), text);
      }
    }
    const auto found = match(route.method == "ANY" ? "GET" : route.method, target);
    REQUIRE(found.has_value());
    CHECK(found->route == &route);
  }
}

}  // namespace holdfast::web
