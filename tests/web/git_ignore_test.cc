#include "web/git_ignore.h"

#include <doctest/doctest.h>

#include "tests/web/writing.h"

namespace holdfast::web {

TEST_CASE("web/git_ignore: patterns fit as git says") {
  struct Case {
    const char* text;
    const char* path;
    bool ignored;
  };

  constexpr Case kCases[] = {
      {"*.log", "a.log", true},
      {"*.log", "d/e/a.log", true},
      {"*.log", "a.log.txt", false},
      {"# a\n\n   \n*.log  \n", "a.log", true},
      {"\\#a", "#a", true},
      {"\\!a", "!a", true},
      {"a\\ ", "a ", true},
      {"*.log\r\n", "a.log", true},
      {"*.log\n!keep.log", "d/keep.log", false},
      {"!keep.log\n*.log", "keep.log", true},
      {"tmp/", "tmp", false},
      {"tmp/", "tmp/a", true},
      {"tmp/", "d/tmp/e/a", true},
      {"tmp", "d/tmp/a", true},
      {"/tmp", "d/tmp", false},
      {"/tmp", "tmp", true},
      {"d/tmp", "e/d/tmp", false},
      {"d/tmp", "d/tmp/a", true},
      {"**/tmp/*", "a/b/tmp/c", true},
      {"tmp/\n!tmp/keep", "tmp/keep", true},  // not out of a directory that is left out
      {"tmp/*\n!tmp/keep", "tmp/keep", false},
      {"", "a", false},
      {"/", "a", false},
      {"!", "a", false},
      {"[a-c].bin", "b.bin", true},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.text));
    CAPTURE(std::string(c.path));
    PatternSteps steps(10'000);
    CHECK(GitIgnore(c.text).ignores(c.path, steps) == c.ignored);
  }
  PatternSteps steps(10'000);
  CHECK_FALSE(GitIgnore(std::string(5000, 'a')).ignores(std::string(5000, 'a'), steps));
}

TEST_CASE("web/hub_preupload: what .gitignore leaves out is to be left out") {
  const tests::Writing hub;
  hub.create("me/new");
  const auto ignored = [&](const std::string& more) {
    const Response answer = hub.post("/api/models/me/new/preupload/main",
                                     R"({"files":[{"path":"run/a.log","size":1,"sample":"YQ=="},
        {"path":"a.txt","size":1,"sample":"YQ=="},
        {"path":".gitignore","size":1,"sample":"YQ=="}])" +
                                         more + "}");
    REQUIRE(answer.status == 200);
    const Json json = tests::json_of(answer);
    std::string all;
    for (const Json& file : json.find("files")->as_array()) {
      all += file.find("shouldIgnore")->as_bool() ? 'y' : 'n';
    }
    return all;
  };
  CHECK(ignored("") == "nnn");
  // The one that is about to come, and the one that is there.
  CHECK(ignored(R"(,"gitIgnore":"*.log\n")") == "ynn");
  REQUIRE(hub.commit("me/new", R"({"key":"header","value":{"summary":"Change"}})"
                               "\n"
                               R"({"key":"file","value":{"path":".gitignore","content":"*.txt"}})")
              .status == 200);
  CHECK(ignored("") == "nyn");
  CHECK(ignored(R"(,"gitIgnore":"")") == "nnn");
}

}  // namespace holdfast::web
