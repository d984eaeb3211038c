#include "web/git_attributes.h"

#include <doctest/doctest.h>

namespace holdfast::web {
namespace {

bool is_lfs(const GitAttributes& attributes, std::string_view path) {
  PatternSteps steps(10'000);
  return attributes.is_lfs(path, steps);
}

}  // namespace

TEST_CASE("web/git_attributes: the last line that speaks of the filter wins") {
  const GitAttributes attributes(
      "# comment\n*.bin filter=lfs diff=lfs merge=lfs -text\n"
      "keep.bin -filter\nsub/*.dat filter=lfs\n/top.txt filter=lfs\n"
      "\"two words.txt\" filter=lfs\r\n*.txt text\n*.x filter=other\n"
      "name filter=lfs\n*me -filter\n/a/name filter=lfs\nz/* filter=lfs\nz/no -filter\n");

  struct Case {
    const char* path;
    bool lfs;
  };

  constexpr Case kCases[] = {{"a.bin", true},       {"d/e/a.bin", true},  {"keep.bin", false},
                             {"d/keep.bin", false}, {"sub/a.dat", true},  {"x/sub/a.dat", false},
                             {"top.txt", true},     {"d/top.txt", false}, {"two words.txt", true},
                             {"a.x", false},        {"# comment", false}, {"name", false},
                             {"a/name", true},      {"b/name", false},    {"z/yes", true},
                             {"z/no", false},       {"no", false}};
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.path));
    CHECK(is_lfs(attributes, c.path) == c.lfs);
  }
}

TEST_CASE("web/git_attributes: a path's own line is about that path alone") {
  for (const char* path :
       {"a", "d/a b", "x*[y].bin", "q\"uote", "b\\ack", "naïve", "#d/big.txt", "!d/big.txt"}) {
    CAPTURE(std::string(path));
    const GitAttributes attributes(GitAttributes::lfs_line(path));
    CHECK(is_lfs(attributes, path));
    CHECK_FALSE(is_lfs(attributes, "other/" + std::string(path)));
    CHECK_FALSE(is_lfs(attributes, "xzy.bin"));
  }
  const GitAttributes defaults(GitAttributes::defaults());
  CHECK(is_lfs(defaults, "onnx/model.onnx"));
  CHECK(is_lfs(defaults, "saved_model/a/b"));
  CHECK_FALSE(is_lfs(defaults, "config.json"));
}

}  // namespace holdfast::web
