#include "mirror/plan_mirrors.h"

#include <algorithm>
#include <functional>

#include <doctest/doctest.h>

#include "mirror/hub_upstream.h"
#include "storage/base/error.h"
#include "tests/fakes/hub_imposter.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

using storage::RepoKind;

std::vector<std::string> names_of(const std::vector<ListedRepository>& rows) {
  std::vector<std::string> out;
  for (const ListedRepository& row : rows) out.push_back(to_text(row.repo));
  return out;
}

std::unique_ptr<Upstream> upstream_of(const fakes::HubImposter& hub) {
  HubOptions options;
  options.http.endpoint = parse_url(hub.endpoint());
  return make_hub_upstream(std::move(options));
}

void add_repository(fakes::HubImposter& hub, const std::string& name) {
  hub.add_revision(name, {{.path = "README.md", .content = fakes::content_of("# " + name)}});
}

TEST_CASE("mirror/plan_mirrors: a pattern comes apart, and what is none is refused") {
  struct Case {
    const char* text;
    RepoPattern pattern;
  };

  const Case cases[] = {
      {"Qwen/*", {.owner = "Qwen", .name = "*"}},
      {"Qwen/Qwen2.5-*-Instruct", {.owner = "Qwen", .name = "Qwen2.5-*-Instruct"}},
      {"*/*", {.owner = "*", .name = "*"}},
      {"models/a/b?", {.owner = "a", .name = "b?"}},
      {"dataset/org/[abc]*", {.kind = RepoKind::Dataset, .owner = "org", .name = "[abc]*"}},
      {"datasets/org/*", {.kind = RepoKind::Dataset, .owner = "org", .name = "*"}},
      {"org/m", {.owner = "org", .name = "m", .exact = true}},
      {"gpt2", {.owner = "", .name = "gpt2", .exact = true}},
      {"dataset/org/d", {.kind = RepoKind::Dataset, .owner = "org", .name = "d", .exact = true}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(parse_repo_pattern(c.text) == c.pattern);
  }
  for (const char* const text :
       {"", "*", "a*", "/x*", "a*/", "a/b/c*", "a b/*", "a/*\n", "../*/x", "a/b\\*"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_repo_pattern(text), Error);
  }
}

TEST_CASE(
    "mirror/plan_mirrors: an exact rule decides before a pattern, an earlier one before a later") {
  const std::vector<MirrorRule> rules = {{.repo = "org/*", .keep = 1},
                                         {.repo = "org/m*", .keep = 2},
                                         {.repo = "org/m", .keep = 3},
                                         {.repo = "dataset/org/*", .keep = 4}};
  const auto keep_of = [&](const storage::RepoId& repo) {
    const MirrorRule* const rule = find_rule(rules, repo);
    return rule == nullptr ? 0 : rule->keep;
  };
  CHECK(keep_of({.owner = "org", .name = "m"}) == 3);
  CHECK(keep_of({.owner = "org", .name = "m2"}) == 1);
  CHECK(keep_of({.kind = RepoKind::Dataset, .owner = "org", .name = "m"}) == 4);
  CHECK(keep_of({.owner = "other", .name = "m"}) == 0);
  CHECK(keep_of({.owner = "", .name = "m"}) == 0);
}

TEST_CASE("mirror/plan_mirrors: refs are chosen by globs, each once, and missing words are named") {
  const auto oid = [](char digit) { return *parse_git_oid(std::string(40, digit)); };
  const std::vector<storage::Ref> refs = {
      {"refs/heads/main", oid('1')}, {"refs/heads/dev/a", oid('2')},
      {"refs/tags/v1.0", oid('3')},  {"refs/tags/v1.1", oid('4')},
      {"refs/pr/7", oid('5')},       {"refs/convert/parquet", oid('6')}};

  struct Case {
    std::vector<std::string> globs;
    std::vector<std::size_t> chosen;
    std::vector<std::string> missing;
  };

  const Case cases[] = {
      {{}, {0}, {}},
      {{"main"}, {0}, {}},
      {{"v1.*", "main"}, {2, 3, 0}, {}},
      {{"*"}, {0, 1, 2, 3}, {}},
      {{"refs/tags/*", "v1.0"}, {2, 3}, {}},
      {{"refs/pr/*"}, {4}, {}},
      {{"refs/c*"}, {5}, {}},
      {{"refs/*"}, {0, 1, 2, 3, 5}, {}},
      {{"dev/*"}, {1}, {}},
      {{"v2.*"}, {}, {}},
      {{"v2", "main"}, {0}, {"v2"}},
  };
  for (const Case& c : cases) {
    CAPTURE(Json(Json::Array(c.globs.begin(), c.globs.end())));
    const ChosenRefs chosen = choose_refs(refs, c.globs);
    std::vector<storage::Ref> expected;
    for (const std::size_t i : c.chosen) expected.push_back(refs[i]);
    CHECK(chosen.refs == expected);
    CHECK(chosen.missing == c.missing);
  }
  const std::vector<std::string> commit = {std::string(40, 'a')};
  const ChosenRefs bare = choose_refs(refs, commit);
  REQUIRE(bare.refs.size() == 1);
  CHECK(bare.refs[0].name.empty());
  CHECK(bare.refs[0].commit == oid('a'));
}

TEST_CASE("mirror/plan_mirrors: cards only is the card, whatever else is said") {
  CHECK(selection_of({.repo = "a/b", .cards_only = true}).include ==
        std::vector<std::string>{"README.md"});
  CHECK(selection_of({.repo = "a/b", .include = {"*.json"}}).include ==
        std::vector<std::string>{"*.json"});
}

TEST_CASE("mirror/plan_mirrors: an organisation is listed page by page, newest first") {
  fakes::HubImposter hub({.page_size = 2});
  for (const char* const name : {"org/a", "org/b", "other/c", "org/d-GGUF", "datasets/org/e"}) {
    add_repository(hub, name);
  }
  add_repository(hub, "org/a");
  const auto upstream = upstream_of(hub);
  CHECK(names_of(expand({.repo = "org/*"}, *upstream, {})) ==
        std::vector<std::string>{"model/org/a", "model/org/d-GGUF", "model/org/b"});
  CHECK(names_of(expand({.repo = "org/*-GGUF"}, *upstream, {})) ==
        std::vector<std::string>{"model/org/d-GGUF"});
  CHECK(names_of(expand({.repo = "*/[ac]"}, *upstream, {})) ==
        std::vector<std::string>{"model/org/a", "model/other/c"});
  CHECK(names_of(expand({.repo = "dataset/org/*"}, *upstream, {})) ==
        std::vector<std::string>{"dataset/org/e"});
  hub.reset_counters();
  CHECK(names_of(expand({.repo = "org/never-asked"}, *upstream, {})) ==
        std::vector<std::string>{"model/org/never-asked"});
  CHECK(hub.requests() == 0);
}

TEST_CASE("mirror/plan_mirrors: with a watermark no more pages are read than needed") {
  fakes::HubImposter hub({.page_size = 2});
  for (int i = 0; i < 10; ++i) add_repository(hub, "org/m" + std::to_string(i));
  const auto upstream = upstream_of(hub);
  const auto all = expand({.repo = "org/*"}, *upstream, {});
  REQUIRE(all.size() == 10);
  REQUIRE(all[2].changed);
  hub.reset_counters();
  const auto newer = expand({.repo = "org/*"}, *upstream, all[2].changed);
  CHECK(names_of(newer) ==
        std::vector<std::string>{"model/org/m9", "model/org/m8", "model/org/m7"});
  CHECK(hub.requests() == 3);
}

// A list of repositories that is not in the order that was asked for.
class ShuffledUpstream final : public Upstream {
 public:
  explicit ShuffledUpstream(std::vector<std::vector<ListedRepository>> pages)
      : pages_(std::move(pages)) {}

  void repositories(const RepositoryQuery&, const RepositoryPage& page) override {
    for (const auto& rows : pages_) {
      if (!page(rows, "")) return;
    }
  }

  std::vector<storage::Ref> refs(const storage::RepoId&, bool) override { return {}; }

  RemoteRevision revision(const storage::RepoId&, std::string_view) override { return {}; }

  RemoteCommit commit(const storage::RepoId&, const GitOid&) override { return {}; }

  std::optional<bool> follows(const storage::RepoId&, const GitOid&, const GitOid&) override {
    return std::nullopt;
  }

  std::vector<RemoteEntry> tree(const storage::RepoId&, const GitOid&) override { return {}; }

  std::optional<RemoteGit> git(const storage::RepoId&, const GitOid&, GitDepth,
                               std::string&) override {
    return std::nullopt;
  }

  void fetch(const RemoteFile&, storage::ByteRange, const ByteSink&,
             const std::stop_token&) override {}

  std::optional<SmallFile> small_file(const BranchTip&, const std::string&) override {
    return std::nullopt;
  }

  Json::Object evidence() const override { return {}; }

  void start_evidence(bool) override {}

  std::uint64_t requests() const override { return 0; }

 private:
  std::vector<std::vector<ListedRepository>> pages_;
};

TEST_CASE("mirror/plan_mirrors: a list that is out of order is read to its end") {
  const Time base{std::chrono::hours(1000)};
  const auto row = [&](const char* name, int hours) {
    return ListedRepository{.repo = {.owner = "org", .name = name},
                            .changed = base + std::chrono::hours(hours)};
  };
  ShuffledUpstream upstream({{row("a", 1), row("b", 9)}, {row("c", 1)}, {row("d", 8)}});
  CHECK(names_of(expand({.repo = "org/*"}, upstream, base + std::chrono::hours(5))) ==
        std::vector<std::string>{"model/org/b", "model/org/d"});
  // Rows that say no time might be new.
  ShuffledUpstream silent({{{.repo = {.owner = "org", .name = "x"}}}, {row("d", 8)}});
  CHECK(names_of(expand({.repo = "org/*"}, silent, base + std::chrono::hours(5))) ==
        std::vector<std::string>{"model/org/x", "model/org/d"});
}

}  // namespace
}  // namespace holdfast::mirror
