#include "storage/git/text_diff.h"

#include <vector>

#include <doctest/doctest.h>

namespace holdfast::storage::git {
namespace {

DiffSide side(const std::string& text, std::uint32_t mode = 0100644) {
  return {.blob = git_object_id("blob", as_bytes(text)), .mode = mode, .text = text};
}

DiffSide hidden(char digit) {
  return {.blob = *parse_git_oid(std::string(40, digit)), .text = std::nullopt};
}

}  // namespace

// What git 2.39 printed of the same; web/hub_compare asks the git that is there.
TEST_CASE("storage/git/text_diff: a change is said as git says it") {
  struct Case {
    const char* name;
    FileChange change;
    std::string text;
  };

  const Case cases[] = {
      {"a line",
       {.path = "a", .before = side("1\n2\n"), .after = side("1\n3\n")},
       "diff --git a/a b/a\nindex 1191247..2b2f2e1 100644\n--- a/a\n+++ b/a\n"
       "@@ -1,2 +1,2 @@\n 1\n-2\n+3\n"},
      {"a new file",
       {.path = "a b", .before = {}, .after = side("x")},
       "diff --git a/a b b/a b\nnew file mode 100644\nindex 0000000..c1b0730\n--- /dev/null\n"
       "+++ b/a b\t\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n"},
      {"an empty one",
       {.path = "a", .before = {}, .after = side("")},
       "diff --git a/a b/a\nnew file mode 100644\nindex 0000000..e69de29\n"},
      {"a mode",
       {.path = "a", .before = side("x"), .after = side("x", 0100755)},
       "diff --git a/a b/a\nold mode 100644\nnew mode 100755\n"},
      {"what is not to be shown",
       {.path = "a", .before = hidden('1'), .after = hidden('2')},
       "diff --git a/a b/a\nindex 1111111..2222222 100644\nBinary files a/a and b/a differ\n"},
      {"a binary file that goes",
       {.path = "a", .before = hidden('1'), .after = {}},
       "diff --git a/a b/a\ndeleted file mode 100644\nindex 1111111..0000000\n"
       "Binary files a/a and /dev/null differ\n"},
      {"a file that becomes a link",
       {.path = "a", .before = side("x\n"), .after = side("b", 0120000)},
       "diff --git a/a b/a\ndeleted file mode 100644\nindex 587be6b..0000000\n--- a/a\n"
       "+++ /dev/null\n@@ -1 +0,0 @@\n-x\ndiff --git a/a b/a\nnew file mode 120000\n"
       "index 0000000..63d8dbd\n--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+b\n"
       "\\ No newline at end of file\n"},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    CHECK(diff_text(c.change) == c.text);
  }
}

TEST_CASE("storage/git/text_diff: paths are quoted where git quotes them") {
  struct Case {
    const char* path;
    const char* quoted;
  };

  constexpr Case kCases[] = {
      {"a/b c.txt", "a/b c.txt"}, {"na\xc3\xafve", R"("na\303\257ve")"}, {"q\"\\", R"("q\"\\")"},
      {"t\tn\n", R"("t\tn\n")"},  {"\x01\x7f", R"("\001\177")"},         {"", ""},
  };
  for (const Case& c : kCases) CHECK(quote_path(c.path) == c.quoted);
}

}  // namespace holdfast::storage::git
