// The real git against the real server.
#include <doctest/doctest.h>

#include "tests/web/asking.h"
#include "tests/web/git_site.h"

namespace holdfast::web {
namespace {

using tests::have;
using tests::SampleFile;
using Site = tests::GitSite;

const std::string kLarge = tests::pattern_bytes(2'000'000);

// A model with three commits, the first of which has a parent that is not held if `cut`.
struct History {
  std::vector<GitOid> commits;

  explicit History(storage::Store& store, bool cut = false) {
    std::vector<GitOid> parents;
    if (cut) parents.push_back(*parse_git_oid(std::string(40, '7')));
    std::vector<SampleFile> files{{"README.md", "# One\n"},
                                  {"sub/deep/notes.txt", "notes\n"},
                                  {"vocab.json", kLarge},
                                  {"empty", ""},
                                  {"model.safetensors", tests::pattern_bytes(300'000), true}};
    for (const std::string title : {"# One\n", "# Two\n", "# Three\n"}) {
      files.front().bytes = title;
      commits.push_back(tests::publish(
          store, {.id = "org/history", .files = files, .facts = {}, .parents = parents}));
      parents = {commits.back()};
    }
  }
};

}  // namespace

TEST_CASE("web/git: a clone has upstream's commits and every byte, in both protocols") {
  if (!have("git --version")) return;
  Site site;
  const History history(site.store());
  site.start();
  for (const std::string protocol : {"0", "1", "2"}) {
    CAPTURE(protocol);
    const std::string clone = "clone" + protocol;
    REQUIRE(site.run("git -c protocol.version=" + protocol + " clone -q $URL " + clone) == 0);
    CHECK(site.run("git -C " + clone + " fsck --full --strict") == 0);
    CHECK(site.run("git -C " + clone + " rev-parse HEAD main v1; git -C " + clone +
                   " rev-list --count HEAD") == 0);
    const std::string tip = to_hex(history.commits.back()) + "\n";
    CHECK(site.output().ends_with("3\n"));
    CHECK(site.output().starts_with(tip + tip));
    CHECK(site.file(clone + "/README.md") == "# Three\n");
    CHECK(site.file(clone + "/vocab.json") == kLarge);
    CHECK(site.file(clone + "/sub/deep/notes.txt") == "notes\n");
    CHECK(site.file(clone + "/model.safetensors").starts_with("version https://git-lfs"));
  }
}

TEST_CASE("web/git: a clone may be shallow, and be deepened") {
  if (!have("git --version")) return;
  Site site;
  const History history(site.store());
  site.start();
  for (const std::string protocol : {"0", "2"}) {
    CAPTURE(protocol);
    const std::string git = "git -c protocol.version=" + protocol;
    const std::string here = git + " -C shallow" + protocol;
    const auto count = [&] {
      CHECK(site.run(here + " rev-list --count HEAD") == 0);
      return site.output();
    };
    REQUIRE(site.run(git + " clone -q --depth 1 $URL.git shallow" + protocol) == 0);
    CHECK(count() == "1\n");
    REQUIRE(site.run(here + " fetch -q --deepen 1") == 0);
    CHECK(count() == "2\n");
    REQUIRE(site.run(here + " fetch -q --unshallow") == 0);
    CHECK(count() == "3\n");
    CHECK(site.run(here + " fsck --full") == 0);
  }
}

TEST_CASE("web/git: a later fetch brings only what is new") {
  if (!have("git --version")) return;
  Site site;
  const History history(site.store());
  site.start();
  for (const std::string protocol : {"0", "2"}) {
    CAPTURE(protocol);
    const std::string git = "git -c protocol.version=" + protocol;
    const std::string here = git + " -C later" + protocol;
    REQUIRE(site.run(git + " init -q later" + protocol + " && " + here + " fetch -q $URL " +
                     to_hex(history.commits.front()) + ":refs/heads/old") == 0);
    REQUIRE(site.run("GIT_TRACE_CURL=1 " + here + " fetch $URL main:refs/heads/new 2>trace") == 0);
    CHECK(site.run(here + " fsck --full && " + here + " rev-list --count new") == 0);
    CHECK(site.output().ends_with("3\n"));
    // The large file lies in both commits: nothing near its size crossed again.
    CHECK(site.file("trace").size() < kLarge.size());
  }
}

TEST_CASE("web/git: what git asks for compressed is read") {
  if (!have("git --version")) return;
  Site site;
  const History history(site.store());
  // Above 1024 bytes git compresses: a clone of so many branches asks for each one's commit.
  constexpr std::size_t kBranches = 40;
  std::vector<GitOid> commits;
  std::vector<storage::Ref> refs;
  for (std::size_t i = 0; i < kBranches; ++i) {
    commits.push_back(tests::publish(site.store(), {.id = "org/history",
                                                    .files = {{"README.md", std::to_string(i)}},
                                                    .facts = {},
                                                    .parents = {history.commits.back()}}));
    refs.push_back({.name = "refs/heads/b" + std::to_string(i), .commit = commits.back()});
  }
  site.store().catalog().set_refs(storage::parse_repo_id("org/history"), refs);
  site.start();
  for (const std::string protocol : {"0", "2"}) {
    CAPTURE(protocol);
    const std::string git = "GIT_TRACE_CURL=1 git -c protocol.version=" + protocol;
    const auto is_compressed = [&] {
      return site.file("trace").find("Content-Encoding: gzip") != std::string::npos;
    };
    REQUIRE(site.run(git + " clone -q $URL many" + protocol + " 2>trace") == 0);
    CHECK(is_compressed());
    CHECK(site.run("git -C many" + protocol + " fsck --full && git -C many" + protocol +
                   " for-each-ref --format='%(objectname)' refs/remotes/origin/b*") == 0);
    for (const GitOid& commit : commits) {
      CHECK(site.output().find(to_hex(commit) + "\n") != std::string::npos);
    }
    // And a fetch of what is named by its ids.
    std::string ids;
    for (const GitOid& commit : commits) ids += " " + to_hex(commit);
    REQUIRE(site.run("git init -q some" + protocol + " && " + git + " -C some" + protocol +
                     " fetch -q $URL" + ids + " 2>trace") == 0);
    CHECK(is_compressed());
    CHECK(site.run("git -C some" + protocol + " cat-file -e " + to_hex(commits.front()) +
                   " && git -C some" + protocol + " cat-file -e " + to_hex(commits.back())) == 0);
  }
}

TEST_CASE("web/git: where our history begins late, the clone is shallow") {
  if (!have("git --version")) return;
  Site site;
  const History history(site.store(), true);
  site.start();
  for (const std::string protocol : {"0", "2"}) {
    CAPTURE(protocol);
    const std::string clone = "cut" + protocol;
    REQUIRE(site.run("git -c protocol.version=" + protocol + " clone -q $URL " + clone) == 0);
    CHECK(site.run("git -C " + clone + " fsck --full && cat " + clone + "/.git/shallow") == 0);
    CHECK(site.output().find(to_hex(history.commits.front())) != std::string::npos);
  }
}

TEST_CASE("web/git: a removed revision ends the history of the ones that stay") {
  if (!have("git --version")) return;
  Site site;
  const History history(site.store());
  site.store().catalog().remove(storage::parse_repo_id("org/history"), history.commits.front());
  site.start();
  REQUIRE(site.run("git clone -q $URL kept") == 0);
  CHECK(site.run("git -C kept fsck --full && git -C kept rev-list --count HEAD") == 0);
  CHECK(site.output().ends_with("2\n"));
  CHECK(site.run("git -C kept fetch -q $URL " + to_hex(history.commits.front())) != 0);
}

TEST_CASE("web/git: git-lfs gets the large files") {
  if (!have("git --version") || !have("git lfs version")) return;
  Site site;
  const History history(site.store());
  site.start();
  REQUIRE(site.run("git clone -q $URL lfs && cd lfs && git lfs install --local && "
                   "echo '*.safetensors filter=lfs diff=lfs merge=lfs -text' > .gitattributes && "
                   "unset GIT_LFS_SKIP_SMUDGE && git lfs pull") == 0);
  CHECK(site.file("lfs/model.safetensors") == tests::pattern_bytes(300'000));
}

TEST_CASE("web/hub_compare: what changed is said as git itself says it") {
  using namespace std::string_literals;
  if (!have("git --version")) return;
  Site site;
  std::string before;
  for (int i = 0; i < 40; ++i) before += "line " + std::to_string(i) + "\n";
  std::string after = before;
  after.replace(after.find("line 3\n"), 7, "line three\nand a half\n");
  after.erase(after.find("line 30\n"), 8);
  const GitOid old = tests::publish(site.store(), {.id = "org/history",
                                                   .files = {{"lines.txt", before},
                                                             {"no end", "a\nb"},
                                                             {"gone.txt", "x\n"},
                                                             {"same", "same\n"},
                                                             {"w.bin", "x\0y"s},
                                                             {"model.safetensors", "one", true}},
                                                   .facts = {}});
  const GitOid now = tests::publish(site.store(), {.id = "org/history",
                                                   .files = {{"lines.txt", after},
                                                             {"no end", "a\nb\n"},
                                                             {"same", "same\n"},
                                                             {"w.bin", "x\0z"s},
                                                             {"empty", ""},
                                                             {"sub/naïve \"q\"\\.txt", "new\nfile"},
                                                             {"model.safetensors", "two", true}},
                                                   .facts = {},
                                                   .parents = {old}});
  site.start();
  REQUIRE(site.run("git clone -q $URL clone") == 0);
  const Services services{.store = site.store()};
  for (const auto& [base, head] : {std::pair{old, now}, {now, old}}) {
    CAPTURE(to_hex(base));
    REQUIRE(site.run("git -C clone -c core.abbrev=7 diff --no-renames " + to_hex(base) + " " +
                     to_hex(head)) == 0);
    const std::string target =
        "/api/models/org/history/compare/" + to_hex(base) + ".." + to_hex(head);
    CHECK(tests::body_of(handle({.target = target}, services)) == site.output());
  }
  REQUIRE(site.run("git -C clone -c core.abbrev=7 show --format= " + to_hex(old)) == 0);
  CHECK(tests::body_of(handle({.target = "/api/models/org/history/compare/" + to_hex(old)},
                              services)) == site.output());
}

TEST_CASE("web/git: a refusal says why in words that git shows") {
  if (!have("git --version")) return;
  Site site;
  tests::publish(site.store(),
                 {.id = "org/history",
                  .files = {{"README.md", "# One\n"}, {"tokenizer.json", "{}", false, false}},
                  .facts = {}});
  site.start();
  CHECK(site.run("git clone -q $URL broken") != 0);
  CHECK(site.output().find("tokenizer.json: not held") != std::string::npos);
  CHECK(site.run("git clone -q ${URL%/*}/none broken") != 0);
  CHECK(site.output().find("not found") != std::string::npos);
  CHECK(site.run("git -c protocol.version=2 fetch -q $URL " + std::string(40, '5')) != 0);
  CHECK(site.run("git clone -q $URL broken; git init -q push && cd push && "
                 "git -c user.name=a -c user.email=b commit -q --allow-empty -m x && "
                 "git push -q $URL HEAD:main") != 0);
}

}  // namespace holdfast::web
