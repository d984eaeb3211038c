#include "mirror/hub_listing.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

std::string quoted_commit() { return "\"" + std::string(kCommit) + "\""; }

TEST_CASE("mirror/hub_listing: refs of all groups") {
  const auto refs = parse_refs(
      R"({"branches":[{"name":"main","ref":"refs/heads/main","targetCommit":)" + quoted_commit() +
      R"(}],"converts":[],"tags":[{"name":"v1","ref":"refs/tags/v1","targetCommit":)" +
      quoted_commit() + "}]}");
  REQUIRE(refs.size() == 2);
  CHECK(refs[0].name == "refs/heads/main");
  CHECK(to_hex(refs[0].commit) == kCommit);
  CHECK(refs[1].name == "refs/tags/v1");
}

TEST_CASE("mirror/hub_listing: a revision keeps what stays true for a copy") {
  const auto revision = parse_revision(R"({"id":"Org/M","sha":)" + quoted_commit() +
                                       R"(,"lastModified":"2026-01-02T03:04:05.000Z","gated":"auto",
      "tags":["a"],"downloads":5,"siblings":[],"xetEnabled":true,"pipeline_tag":"text-generation"})");
  CHECK(revision.name == "Org/M");
  CHECK(revision.gated == "auto");
  CHECK(holdfast::to_text(revision.time) == "2026-01-02T03:04:05.000Z");
  CHECK(revision.info.find("tags") != nullptr);
  CHECK(revision.info.find("downloads") == nullptr);
  CHECK(revision.info.find("xetEnabled") == nullptr);
  CHECK(parse_revision(R"({"gated":false,"sha":)" + quoted_commit() + "}").gated.empty());
}

TEST_CASE("mirror/hub_listing: files, LFS files and directories of a page") {
  const auto entries =
      parse_tree_page(R"([{"type":"directory","path":"a","oid":)" + quoted_commit() + R"(,"size":0},
          {"type":"file","path":"a/x.bin","oid":)" +
                      quoted_commit() + R"(,"size":7,"xetHash":"00",
           "lfs":{"oid":")" +
                      std::string(64, 'b') + R"(","size":7,"pointerSize":126}}])");
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].directory);
  CHECK(entries[1].size_bytes == 7);
  REQUIRE(entries[1].lfs);
  CHECK(to_hex(entries[1].lfs->object) == std::string(64, 'b'));
  CHECK(entries[1].lfs->pointer_bytes == 126);
  CHECK(parse_tree_page("[]").empty());
}

TEST_CASE("mirror/hub_listing: errors name the document and the field") {
  struct Case {
    const char *name, *text, *error;
  };

  const Case trees[] = {
      {"no list", R"({"error":"x"})", "tree"},
      {"no JSON", "<html>", "tree"},
      {"no path", R"([{"type":"file"}])", "tree[0].path"},
      {"bad id", R"([{"type":"file","path":"x","oid":"zz","size":1}])", "tree[0] (x).oid"},
      {"bad type", R"([{"type":"link","path":"x","oid":"zz"}])", "tree[0] (x).type"},
      {"negative size",
       R"([{"type":"file","path":"x","oid":"0123456789abcdef0123456789abcdef01234567","size":-1}])",
       "size"},
      {"too large",
       R"([{"type":"file","path":"x","oid":"0123456789abcdef0123456789abcdef01234567","size":9007199254740993}])",
       "pebibyte"},
      {"sizes differ",
       R"([{"type":"file","path":"x","oid":"0123456789abcdef0123456789abcdef01234567","size":1,"lfs":{"oid":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","size":2,"pointerSize":1}}])",
       "lfs.size"},
      {"climbing path", R"([{"type":"file","path":"../x"}])", "path '../x'"},
  };
  for (const Case& c : trees) {
    CAPTURE(std::string(c.name));
    CHECK_THROWS_WITH_AS(parse_tree_page(c.text), doctest::Contains(c.error), Error);
  }
  CHECK_THROWS_WITH_AS(parse_refs("{}"), doctest::Contains("refs.branches"), Error);
  CHECK_THROWS_WITH_AS(parse_revision("{}"), doctest::Contains("revision.sha"), Error);
}

TEST_CASE("mirror/hub_listing: paths that git and a file system both take") {
  for (const char* const good :
       {"a", "a/b.c", ".gitattributes", "a..b", "ä/ö", "a b", "...", "-x"}) {
    CAPTURE(std::string(good));
    CHECK_NOTHROW(check_path(good));
  }
  for (const char* const bad :
       {"", "/a", "a/", "a//b", ".", "..", "a/../b", ".git/config", "a/.git", "a\nb", "a\x7f"}) {
    CAPTURE(std::string(bad));
    CHECK_THROWS_AS(check_path(bad), Error);
  }
  CHECK_THROWS_AS(check_path(std::string_view("a\0b", 3)), Error);
  CHECK_THROWS_AS(check_path(std::string(5'000, 'a')), Error);
}

TEST_CASE("mirror/hub_listing: a commit and its parent") {
  const auto commit = parse_git_oid(kCommit);
  const RemoteCommit one =
      parse_commits(R"([{"id":)" + quoted_commit() + R"(,"title":"T","message":"B"}])", *commit);
  CHECK(one.message == "T\n\nB");
  CHECK(one.parents.empty());
  const RemoteCommit two =
      parse_commits(R"([{"id":)" + quoted_commit() + R"(,"title":"T","message":""},{"id":)" +
                        quoted_commit() + R"(,"title":"S"}])",
                    *commit);
  CHECK(two.message == "T");
  CHECK(two.parents.size() == 1);
  CHECK_THROWS_AS(parse_commits("[]", *commit), Error);
  CHECK_THROWS_AS(parse_commits(R"([{"id":)" + quoted_commit() + "}]", GitOid{}), Error);
}

}  // namespace
}  // namespace holdfast::mirror
