#include "web/internal/pushed_commits.h"

#include <doctest/doctest.h>

#include "tests/storage/error_kind.h"
#include "tests/web/made_push.h"
#include "tests/web/writing.h"

namespace holdfast::web {
namespace {

using tests::kind_of;
using tests::MadePack;
using tests::RefMove;

constexpr std::size_t kFiles = 20;
constexpr std::size_t kNameBytes = 200;

// A chain of commits over one tree with long names.
struct Chain {
  explicit Chain(std::size_t length) {
    const GitOid content = pack.blob("x\n");
    std::vector<storage::git::TreeEntry> entries;
    for (std::size_t i = 0; i < kFiles; ++i) {
      entries.push_back(
          {.name = std::to_string(100 + i) + std::string(kNameBytes - 3, 'n'), .oid = content});
    }
    tree_bytes = storage::git::encode_tree(entries).size();
    const GitOid tree = pack.tree(entries);
    for (std::size_t i = 0; i < length; ++i) {
      const std::string message = std::to_string(i) + "\n";
      commits.push_back(pack.commit(
          tree, commits.empty() ? std::vector<GitOid>{} : std::vector{commits.back()}, message));
    }
  }

  MadePack pack;
  std::vector<GitOid> commits;
  std::size_t tree_bytes = 0;
};

struct Site : tests::Writing {
  Site() { create("me/new"); }

  // What comes of a push of the chain's last commit within these limits.
  std::vector<storage::Publication> take(const Chain& chain, PushLimits limits) {
    storage::git::PackReader reader(kPushPackMax, sample.directory.path());
    reader.add(as_bytes(chain.pack.bytes()));
    reader.finish();
    const auto repository = sample.store->catalog().find_repository(id);
    PushedCommits commits(services, repository.value(), &reader, limits);
    return commits.take(chain.commits.back(), {});
  }

  GitOid tip(const std::string& ref = "refs/heads/main") {
    return sample.store->catalog().resolve(id, ref).value_or(GitOid{});
  }

  Response push(const std::vector<RefMove>& moves, const MadePack& pack) const {
    return post("/me/new.git/git-receive-pack", push_of(moves, pack));
  }

  storage::RepoId id = storage::parse_repo_id("me/new");
};

}  // namespace

TEST_CASE("web/pushed_commits: the names of all commits together have a bound, not their number") {
  Site site;
  const Chain chain(4);
  // The tree itself counts once, its paths for each commit.
  const std::size_t names = chain.tree_bytes + 4 * kFiles * kNameBytes;
  const auto all = site.take(chain, {.names_bytes_max = names});
  REQUIRE(all.size() == 4);
  for (const auto& publication : all) CHECK(publication.files.size() == kFiles);
  // And only the first brings it.
  CHECK(all[0].git_objects.size() == 2);
  CHECK(all[1].git_objects.size() == 1);
  CHECK(kind_of([&] { site.take(chain, {.names_bytes_max = names - 1}); }) ==
        ErrorKind::LimitExceeded);
}

TEST_CASE("web/pushed_commits: files and directories of all commits together have a bound") {
  Site site;
  const Chain chain(3);
  constexpr std::size_t kRows = 3 * (kFiles + 1);
  CHECK(site.take(chain, {.rows_max = kRows}).size() == 3);
  CHECK(kind_of([&] { site.take(chain, {.rows_max = kRows - 1}); }) == ErrorKind::LimitExceeded);
}

TEST_CASE("web/git_receive_pack: a ref that has moved is refused before its commits are read") {
  Site site;
  MadePack pack;
  const GitOid made = pack.commit(pack.tree({{.name = "a", .oid = pack.blob("a\n")}}));
  const GitOid nowhere = git_object_id("commit", as_bytes("not in the pack"));
  const Response answer = site.push({{.ref = "refs/heads/main", .from = made, .to = nowhere},
                                     {.ref = "refs/heads/side", .from = {}, .to = made}},
                                    pack);
  CHECK(answer.status == 200);
  const std::string report = tests::body_of(answer);
  CHECK(report.find("ng refs/heads/main is elsewhere by now") != report.npos);
  CHECK(report.find("ok refs/heads/side\n") != report.npos);
  CHECK(answer.subject == "refs/heads/side");
  CHECK(site.tip("refs/heads/side") == made);
}

// Whether or not the empty object is here; a commit by the hub's API makes it a file of its own.
TEST_CASE("web/git_receive_pack: an empty file is never a pointer") {
  struct Case {
    std::string_view content;
    bool taken;
  };

  for (const Case& c : {Case{"", false}, Case{"x", true}}) {
    CAPTURE(c.content);
    Site site;
    const Digest object = site.sample.store->blobs().put(as_bytes(c.content));
    MadePack pack;
    const GitOid pointer = pack.blob(storage::git::lfs_pointer(object, c.content.size()));
    const GitOid made = pack.commit(pack.tree({{.name = "w.bin", .oid = pointer}}));
    const Response answer = site.push({{.ref = "refs/heads/side", .from = {}, .to = made}}, pack);
    const std::string report = tests::body_of(answer);
    CAPTURE(report);
    CHECK((report.find("ok refs/heads/side\n") != report.npos) == c.taken);
    CHECK((report.find("w.bin: a pointer to an empty file") != report.npos) == !c.taken);
    CHECK((site.tip("refs/heads/side") == made) == c.taken);
  }
}

TEST_CASE("web/attack: no tree that is pushed holds a name that leads out of it, or into .git") {
  Site site;
  const GitOid before = site.tip();
  for (const char* name : {"..",
                           ".",
                           "",
                           "a/b",
                           "../x",
                           "/etc",
                           ".git",
                           ".GIT",
                           ".Git",
                           "git~1",
                           "GIT~1",
                           ".git.",
                           ".git ",
                           ".git. .",
                           ".git:x",
                           ".git::$INDEX_ALLOCATION",
                           ".g\u200cit",
                           "\ufeff.git",
                           ".gi\u202et",
                           ".git\\config",
                           "a\\.git\\config",
                           ".gitmodules",
                           ".GitModules",
                           "gitmod~1",
                           "GITMOD~4",
                           "gi7eba~1",
                           "GI7E~123",
                           "x\ny",
                           "x\ty",
                           "\x7f"}) {
    CAPTURE(std::string(name));
    for (const bool is_directory : {false, true}) {
      MadePack pack;
      const GitOid file = pack.blob("x\n");
      const GitOid inner = is_directory ? pack.tree({{.name = "config", .oid = file}}) : file;
      const std::uint32_t mode = is_directory ? 040000 : 0100644;
      // At the root, and below a directory.
      const GitOid hostile = pack.tree({{.mode = mode, .name = name, .oid = inner}});
      const GitOid nested = pack.tree({{.mode = 040000, .name = "d", .oid = hostile}});
      for (const GitOid& tree : {hostile, nested}) {
        const GitOid commit = pack.commit(tree);
        const Response answer =
            site.push({{.ref = "refs/heads/main", .from = before, .to = commit}}, pack);
        CHECK((answer.status == 200 || answer.status == 400));
        CHECK(tests::body_of(answer).find("ok refs/") == std::string::npos);
        CHECK(site.tip() == before);
      }
    }
  }
}

TEST_CASE("web/attack: no ref that is pushed has a name that leads elsewhere") {
  Site site;
  MadePack pack;
  const GitOid made = pack.commit(pack.tree({{.name = "a", .oid = pack.blob("a\n")}}));
  const auto refs = [&] { return site.sample.store->catalog().refs(site.id).size(); };
  const std::size_t before = refs();
  for (const char* ref : {"refs/heads/../x",
                          "refs/heads/a..b",
                          "refs/heads/.a",
                          "refs/heads/a.lock",
                          "refs/heads/",
                          "refs/heads//a",
                          "refs/heads/a/",
                          "refs/heads/a\\b",
                          "refs/heads/-a",
                          "refs/heads/@{1}",
                          "refs/heads/a b",
                          "refs/heads/a:b",
                          "refs/heads/a~1",
                          "refs/heads/a^",
                          "refs/heads/a\x7f",
                          "refs/../heads/a",
                          "refs/pr/1",
                          "refs/notes/a",
                          "refs/x",
                          "HEAD",
                          "../../etc/passwd",
                          "refs/tags/.git",
                          "refs/heads/main/below"}) {
    CAPTURE(std::string(ref));
    const Response answer = site.push({{.ref = ref, .from = {}, .to = made}}, pack);
    CHECK(tests::body_of(answer).find("ng ") != std::string::npos);
    CHECK(answer.subject.starts_with("refused "));
    CHECK(refs() == before);
  }
}

}  // namespace holdfast::web
