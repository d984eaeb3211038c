#include "web/git_attributes.h"

#include <doctest/doctest.h>

namespace holdfast::web {

TEST_CASE("web/git_attributes: patterns fit as git says") {
  struct Case {
    const char* pattern;
    const char* text;
    bool fits;
  };

  constexpr Case kCases[] = {
      {"*.bin", "a.bin", true},
      {"*.bin", "a.bin.txt", false},
      {"*.bin", "d/a.bin", false},
      {"*tfevents*", "events.out.tfevents.1", true},
      {"a?c", "abc", true},
      {"a?c", "a/c", false},
      {"[a-c]x", "bx", true},
      {"[!a-c]x", "bx", false},
      {"[]a]", "]", true},
      {"a\\*b", "a*b", true},
      {"a\\*b", "axb", false},
      {"d/*", "d/a", true},
      {"d/*", "d/e/a", false},
      {"d/**", "d/e/a", true},
      {"d/**/*", "d/a", true},
      {"d/**/*", "d/e/f/a", true},
      {"d/**/*", "x/d/a", false},
      {"**/a", "a", true},
      {"**/a", "x/y/a", true},
      {"**/a", "x/ya", false},
      {"a**b", "axyb", true},
      {"a**b", "ax/yb", false},
      {"", "", true},
      {"", "a", false},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.pattern));
    CAPTURE(std::string(c.text));
    CHECK(wildmatch(c.pattern, c.text) == c.fits);
  }
}

TEST_CASE("web/git_attributes: the last line that speaks of the filter wins") {
  const GitAttributes attributes(
      "# comment\n*.bin filter=lfs diff=lfs merge=lfs -text\n"
      "keep.bin -filter\nsub/*.dat filter=lfs\n/top.txt filter=lfs\n"
      "\"two words.txt\" filter=lfs\r\n*.txt text\n*.x filter=other");

  struct Case {
    const char* path;
    bool lfs;
  };

  constexpr Case kCases[] = {{"a.bin", true},       {"d/e/a.bin", true},  {"keep.bin", false},
                             {"d/keep.bin", false}, {"sub/a.dat", true},  {"x/sub/a.dat", false},
                             {"top.txt", true},     {"d/top.txt", false}, {"two words.txt", true},
                             {"a.x", false},        {"# comment", false}};
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.path));
    CHECK(attributes.is_lfs(c.path) == c.lfs);
  }
}

TEST_CASE("web/git_attributes: a path's own line is about that path alone") {
  for (const char* path :
       {"a", "d/a b", "x*[y].bin", "q\"uote", "b\\ack", "naïve", "#d/big.txt", "!d/big.txt"}) {
    CAPTURE(std::string(path));
    const GitAttributes attributes(GitAttributes::lfs_line(path));
    CHECK(attributes.is_lfs(path));
    CHECK_FALSE(attributes.is_lfs("other/" + std::string(path)));
    CHECK_FALSE(attributes.is_lfs("xzy.bin"));
  }
  CHECK(GitAttributes(GitAttributes::defaults()).is_lfs("onnx/model.onnx"));
  CHECK(GitAttributes(GitAttributes::defaults()).is_lfs("saved_model/a/b"));
  CHECK_FALSE(GitAttributes(GitAttributes::defaults()).is_lfs("config.json"));
}

TEST_CASE("web/git_attributes: a hostile pattern costs no more than its size") {
  std::string stars;
  for (int i = 0; i < 300; ++i) stars += "*a";
  CHECK_FALSE(wildmatch(stars + "b", std::string(1000, 'a')));
  CHECK_FALSE(wildmatch(std::string(2000, '*') + "[" + std::string(1000, 'a'), "b"));
}

}  // namespace holdfast::web
