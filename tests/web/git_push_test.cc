#include "web/git_push.h"

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "storage/git/pkt_line.h"
#include "tests/storage/error_kind.h"
#include "tests/web/git_site.h"

namespace holdfast::web {
namespace {

using storage::git::pkt;
using tests::have;

// A repository of ours with one commit, cloned to "mine".
struct Site : tests::GitSite {
  Site() {
    repository = "me/pushed";
    start();
    std::string made = "curl -sf -d '{\"name\":\"me/pushed\"}' ${URL%/me/*}/api/repos/create";
    REQUIRE(run(made + " && git clone -q $URL mine") == 0);
    REQUIRE(work("git config user.name a && git config user.email a@b") == 0);
  }

  int work(const std::string& line) { return run("cd mine && " + line); }

  std::string refs() {
    std::string text;
    for (const auto& ref : store().catalog().refs(storage::parse_repo_id(repository))) {
      text += ref.name + " ";
    }
    return text;
  }

  // A fresh clone is complete; returns how many commits it has.
  std::string count() {
    REQUIRE(run("rm -rf fresh && git clone -q $URL fresh && git -C fresh fsck --full --strict && "
                "git -C fresh rev-list --count --all") == 0);
    return output();
  }
};

std::string oid_text(char digit) { return std::string(40, digit); }

}  // namespace

TEST_CASE("web/git_push: commands, capabilities and where the pack begins") {
  const std::string first = oid_text('0') + " " + oid_text('1') + " refs/heads/a";
  const std::string body = pkt(first + std::string(1, '\0') + " report-status agent=x\n") +
                           pkt(oid_text('1') + " " + oid_text('0') + " refs/tags/b\n") + "0000PACK";
  for (std::size_t length = 0; length < body.size() - 4; ++length) {
    CAPTURE(length);
    CHECK_FALSE(parse_push(body.substr(0, length)).has_value());
  }
  const auto request = parse_push(body);
  REQUIRE(request.has_value());
  CHECK(request->reports);
  CHECK(request->bytes == body.size() - 4);
  REQUIRE(request->commands.size() == 2);
  CHECK(request->commands[0].ref == "refs/heads/a");
  CHECK(request->commands[0].from == GitOid{});
  CHECK(to_hex(request->commands[1].from) == oid_text('1'));
  CHECK(parse_push("0000")->commands.empty());
  for (const std::string& bad :
       {std::string("zzzz"), std::string("0003"), pkt("x") + "0000",
        pkt(oid_text('0') + " " + oid_text('g') + " refs/heads/a") + "0000"}) {
    CAPTURE(bad);
    CHECK(tests::kind_of([&] { parse_push(bad); }) == ErrorKind::Invalid);
  }
  CHECK(parse_push(pkt("shallow " + oid_text('1')) + body)->commands.size() == 2);
}

TEST_CASE("web/git_push: commits, branches and tags arrive as they were made") {
  if (!have("git --version")) return;
  Site site;
  REQUIRE(site.work("mkdir -p d/e && echo one >d/e/a.txt && ln -s d/e/a.txt link && "
                    "echo '#!/bin/sh' >run.sh && chmod +x run.sh && git add -A && "
                    "git commit -qm One && echo two >d/e/a.txt && git commit -qam Two && "
                    "git push -q origin HEAD:main HEAD~1:refs/tags/v1 HEAD:refs/heads/side/x") ==
          0);
  CHECK(site.refs() == "refs/heads/main refs/heads/side/x refs/tags/v1 ");
  CHECK(site.count() == "3\n");
  CHECK(site.file("fresh/d/e/a.txt") == "two\n");
  CHECK(site.run("test -x fresh/run.sh && test -L fresh/link && "
                 "test $(git -C fresh rev-parse HEAD) = $(git -C mine rev-parse HEAD)") == 0);
  // A merge, with a thin client's favourite: a file that goes back to an old state.
  REQUIRE(
      site.work("git checkout -q -b other HEAD~1 && echo o >o && git add o && git commit -qm O && "
                "git checkout -q main 2>/dev/null || git checkout -q master; "
                "git merge -q -m M other && echo one >d/e/a.txt && git commit -qam Back && "
                "git push -q origin HEAD:main") == 0);
  CHECK(site.count() == "6\n");
  REQUIRE(site.work("git push -q origin :side/x :refs/tags/v1") == 0);
  CHECK(site.refs() == "refs/heads/main ");
}

TEST_CASE("web/git_push: only who knows the tip moves it, unless by force") {
  if (!have("git --version")) return;
  Site site;
  REQUIRE(site.run("git clone -q $URL late") == 0);
  REQUIRE(site.work("git commit -q --allow-empty -m One && git push -q origin HEAD:main") == 0);
  const std::string late =
      "cd late && git -c user.name=a -c user.email=b commit -q --amend "
      "--allow-empty -m Late && git push -q ";
  CHECK(site.run(late + "origin HEAD:main") != 0);
  CHECK(site.count() == "2\n");
  CHECK(site.run("cd late && git push -q --force origin HEAD:main") == 0);
  CHECK(site.count() == "1\n");
}

TEST_CASE("web/git_push: a shallow clone pushes what it has made") {
  if (!have("git --version")) return;
  Site site;
  REQUIRE(site.work("git commit -q --allow-empty -m One && git push -q origin HEAD:main") == 0);
  REQUIRE(site.run("git clone -q --depth 1 $URL shallow") == 0);
  CHECK(site.run("cd shallow && echo s >s && git add s && git -c user.name=a -c user.email=b "
                 "commit -qm S && git push -q origin HEAD:main") == 0);
  CHECK(site.count() == "3\n");
}

TEST_CASE("web/git_push: no branch is a directory of another") {
  if (!have("git --version")) return;
  Site site;
  REQUIRE(site.work("git push -q origin HEAD:refs/heads/dev") == 0);
  CHECK(site.work("git push -q origin HEAD:refs/heads/dev/one") != 0);
  CHECK(site.output().find("refs/heads/dev") != std::string::npos);
  CHECK(site.refs() == "refs/heads/dev refs/heads/main ");
  CHECK(site.count() == "1\n");
}

TEST_CASE("web/git_push: what is refused, in words that git shows") {
  if (!have("git --version")) return;
  Site site;

  struct Case {
    const char* make;
    const char* push;
    const char* text;
  };

  constexpr Case kCases[] = {
      {"git commit -q --allow-empty -m x", "HEAD:refs/notes/x", "only branches and tags"},
      {"git tag -a -m t annotated", "annotated", "annotated tags are not kept here"},
      {"true", ":main", "default branch"},
      {"head -c 11000000 /dev/zero >large.txt && git add large.txt && git commit -qm L",
       "HEAD:main", "track it with git-lfs"},
      {"printf 'version https://git-lfs.github.com/spec/v1\\noid "
       "sha256:%064d\\nsize 5\\n' 7 >p.txt && git add p.txt && git commit -qm P",
       "HEAD:main", "LFS object"},
      {"git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),sub && git commit -qm S",
       "HEAD:main", "only files, directories and symbolic links"},
      {"head -c 1100000 /dev/zero | tr '\\0' '\\n' >.gitattributes && git add .gitattributes && "
       "git commit -qm A",
       "HEAD:main", "expected at most 1048576 bytes"},
      {"mkdir .gitmodules && touch .gitmodules/x && git add -f .gitmodules && git commit -qm G",
       "HEAD:main", "git's own"},
  };
  const std::string before = site.refs();
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.push));
    REQUIRE(site.work("git checkout -qf --detach origin/HEAD && git clean -qfd && " +
                      std::string(c.make)) == 0);
    CHECK(site.work("git push -q origin " + std::string(c.push)) != 0);
    CHECK(site.output().find(c.text) != std::string::npos);
    CAPTURE(site.output());
  }
  CHECK(site.refs() == before);
  CHECK(site.count() == "1\n");
}

TEST_CASE("web/git_push: objects of another repository cannot be claimed") {
  if (!have("git --version")) return;
  Site site;
  tests::publish(site.store(),
                 {.id = "org/other", .files = {{"secret.txt", "hidden\n"}}, .facts = {}});
  // A commit with a blob that only the other repository has: the pack leaves it out.
  const std::string blob = to_hex(git_object_id("blob", as_bytes("hidden\n")));
  REQUIRE(
      site.work("git update-index --add --cacheinfo 100644," + blob +
                ",mine.txt && tree=$(git write-tree --missing-ok) && "
                "commit=$(git commit-tree -p HEAD -m x $tree) && "
                "{ printf '%s\\n%s\\n' $commit $tree | git pack-objects -q --stdout >../pack; } && "
                "old=$(git rev-parse HEAD) && line=\"$old $commit refs/heads/main\" && "
                "{ printf '%04x%s\\0report-status' $((4 + ${#line} + 14)) \"$line\"; "
                "printf 0000; cat ../pack; } >../request && "
                "curl -sf --data-binary @../request "
                "-H 'Content-Type: application/x-git-receive-pack-request' "
                "$URL/git-receive-pack") == 0);
  CHECK(site.output().find("ng refs/heads/main") != std::string::npos);
  CHECK(site.output().find("did not come") != std::string::npos);
}

TEST_CASE("web/git_push: git-lfs brings its objects first") {
  if (!have("git --version") || !have("git lfs version")) return;
  Site site;
  REQUIRE(site.work("git lfs install --local && head -c 300000 /dev/urandom >w.safetensors && "
                    "git add w.safetensors && git commit -qm W && git push -q origin HEAD:main") ==
          0);
  const auto id = storage::parse_repo_id(site.repository);
  const auto& catalog = site.store().catalog();
  const auto file = catalog.find_file(id, *catalog.resolve(id, "main"), "w.safetensors");
  REQUIRE(file.has_value());
  CHECK(file->lfs);
  CHECK(file->size_bytes == 300'000);
  CHECK(site.run("git clone -q $URL again && cd again && git lfs install --local && "
                 "unset GIT_LFS_SKIP_SMUDGE && git lfs pull && "
                 "cmp w.safetensors ../mine/w.safetensors") == 0);
}

}  // namespace holdfast::web
