#include "web/repo_path.h"

#include <string>

#include <doctest/doctest.h>

namespace holdfast::web {

TEST_CASE("web/repo_path: names that some git would trip over are refused") {
  const std::string refused[] = {"",
                                 "/a",
                                 "a/",
                                 "a//b",
                                 "..",
                                 "a/../b",
                                 "./a",
                                 ".git/config",
                                 "a/.GIT/x",
                                 "git~1/x",
                                 ".git ./x",
                                 ".git::$INDEX/x",
                                 "a\\.git\\x",
                                 ".g\u200cit/x",
                                 ".gitmodules",
                                 "a/GITMOD~1",
                                 "gitmod~4/x",
                                 "gi7eba~1",
                                 "GI7EB~12 ",
                                 "~1234567",
                                 "a\nb",
                                 "a\x7f",
                                 std::string("a\0b", 3),
                                 std::string(4097, 'a')};
  for (const std::string& path : refused) {
    CAPTURE(path);
    CHECK_FALSE(problem_of_path(path).empty());
  }
  std::string deep = "a";
  for (int i = 0; i < 64; ++i) deep += "/a";
  CHECK(problem_of_path(deep) == "too deep");
  for (const char* path :
       {"a", "a/b.c", ".gitattributes", ".gitignore", "a b/naïve", "git/x", "gitmod~5", "gi7eba~0",
        "gi7ebb~1", "gi7eba~", "gi7eba~12", "~", ".github/workflows/x.yml", "...", "a:b"}) {
    CAPTURE(std::string(path));
    CHECK(problem_of_path(path).empty());
  }
}

TEST_CASE("web/repo_path: branch and tag names as git checks them") {
  for (const char* name : {"main", "feature/x", "v1.0", "a-b_c", "refs-x"}) {
    CAPTURE(std::string(name));
    CHECK(is_ref_name(name));
  }
  for (const char* name :
       {"",    "@",   "-a", "a..b", "a.lock", "a.lock/b", ".a", "a/.b", "a/", "/a",    "a//b",
        "a b", "a~1", "a^", "a:b",  "a?",     "a*",       "a[", "a\\b", "a.", "a@{1}", "a\x01"}) {
    CAPTURE(std::string(name));
    CHECK_FALSE(is_ref_name(name));
  }
}

}  // namespace holdfast::web
