// Syncs from an upstream whose repositories are real git's, behind git's own server program.
#include <algorithm>
#include <atomic>
#include <filesystem>

#include <doctest/doctest.h>

#include "mirror/git_history.h"
#include "mirror/hub_upstream.h"
#include "mirror/url.h"
#include "storage/git/objects.h"
#include "storage/git/pack_plan.h"
#include "storage/spool.h"
#include "tests/mirror/sync_fixture.h"
#include "tests/storage/error_kind.h"
#include "tests/storage/small_disk.h"

namespace holdfast::mirror {
namespace {

namespace fs = std::filesystem;

const storage::RepoId kRepo{.owner = "org", .name = "m"};

// The folder must be there before the imposter.
struct GitSite {
  TempDir git;
  SyncFixture fixture{{.git_root = git.path()}};
};

std::string git_objects(SyncFixture& fixture) {
  const auto evidence = fixture.store->catalog().find_evidence(kRepo, fixture.commit);
  REQUIRE(evidence);
  return text_of(evidence->record, "git_objects");
}

// What a clone of the revision would take; throws when anything is missing.
std::size_t objects_for_clone(SyncFixture& fixture) {
  storage::git::PackRequest request;
  request.wants = {fixture.commit};
  return make_pack_plan(fixture.store->catalog(), {fixture.commit}, request).objects.size();
}

}  // namespace

TEST_CASE("mirror/sync_git: upstream's own commit, trees and small files come by git") {
  if (!have_git()) return;
  GitSite site;
  SyncFixture& fixture = site.fixture;
  fixture.run();
  CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
  const auto revision = fixture.store->catalog().find_revision(kRepo, fixture.commit);
  REQUIRE(revision);
  CHECK(revision->git_commit == fixture.commit);
  const auto commit = fixture.store->catalog().find_git_object(fixture.commit);
  REQUIRE(commit);
  CHECK(git_object_id("commit", as_bytes(commit->bytes)) == fixture.commit);
  CHECK(storage::git::parse_commit(commit->bytes).author == "Ada Example <ada@example.org>");
  CHECK(git_objects(fixture) == "fetched");
  // One commit, three trees, nine files of which two share a pointer.
  CHECK(objects_for_clone(fixture) == 12);
  CHECK(fixture.hub.requests("/resolve/" + to_hex(fixture.commit) + "/README.md") == 0);
  CHECK(fixture.hub.requests("git-upload-pack") == 2);
}

TEST_CASE("mirror/sync_git: a git that is gone for a moment changes no commit that is held") {
  if (!have_git()) return;
  GitSite site;
  SyncFixture& fixture = site.fixture;
  fixture.run();
  site.fixture.hub.offer_git(false);
  SyncRequest again = fixture.request();
  again.force = true;
  fixture.run(again);
  const auto revision = fixture.store->catalog().find_revision(kRepo, fixture.commit);
  REQUIRE(revision);
  CHECK(revision->git_commit == fixture.commit);
  CHECK(git_objects(fixture) == "kept");
  CHECK(objects_for_clone(fixture) == 12);
}

TEST_CASE("mirror/sync_git: a clone is whole even where the selection is not") {
  if (!have_git()) return;
  GitSite site;
  SyncRequest request = site.fixture.request();
  request.selection.include = {"config.json"};
  site.fixture.run(request);
  CHECK(objects_for_clone(site.fixture) == 12);
  const auto file =
      site.fixture.store->catalog().find_file(kRepo, site.fixture.commit, "README.md");
  REQUIRE(file);
  CHECK_FALSE(file->object);
}

TEST_CASE("mirror/sync_git: a revision that came by the listing is upgraded once git is offered") {
  if (!have_git()) return;
  GitSite site;
  SyncFixture& fixture = site.fixture;
  fixture.hub.offer_git(false);
  fixture.run();
  CHECK(git_objects(fixture) == "rebuilt");
  const auto before = fixture.store->catalog().find_revision(kRepo, fixture.commit);
  REQUIRE(before);
  CHECK(before->git_commit != fixture.commit);
  const auto evidence = fixture.store->catalog().find_evidence(kRepo, fixture.commit);
  CHECK(text_of(evidence->record, "git_not_fetched").find("404") != std::string::npos);

  fixture.hub.offer_git(true);
  fixture.hub.reset_counters();
  fixture.run();
  CHECK(fixture.hub.file_bytes_sent() == 0);
  CHECK(fixture.store->catalog().find_revision(kRepo, fixture.commit)->git_commit ==
        fixture.commit);
  CHECK(git_objects(fixture) == "fetched");
  fixture.hub.reset_counters();
  fixture.run();
  CHECK(fixture.hub.requests() <= 2);
}

TEST_CASE("mirror/sync_git: all commits before it come on request, and are cloned from us") {
  if (!have_git()) return;
  GitSite site;
  SyncFixture& fixture = site.fixture;
  auto files = sample_files();
  std::vector<GitOid> commits = {fixture.commit};
  for (int i = 0; i < 5; ++i) {
    files[1].content = fakes::content_of("# Version " + std::to_string(i));
    commits.push_back(fixture.hub.add_revision("org/m", files));
  }
  fixture.run();  // the newest alone
  SyncRequest request = fixture.request();
  request.full_history = true;
  fixture.hub.reset_counters();
  fixture.run(request);
  CHECK(fixture.hub.file_bytes_sent() == 0);
  const auto past = fixture.store->catalog().find_fact(kRepo, commits.back(), kPastFact);
  REQUIRE(past);
  CHECK(past->as_array().size() == 5);
  CHECK(past->as_array().front().as_string() == to_hex(commits[4]));
  storage::git::PackRequest pack;
  pack.wants = {commits.back()};
  const auto plan =
      make_pack_plan(fixture.store->catalog(), {commits.begin(), commits.end()}, pack);
  CHECK(plan.shallow.empty());
  // Twelve of the first one, and a commit, a root tree and a README for each of the others.
  CHECK(plan.objects.size() == 12 + 5 * 3);
  fixture.hub.reset_counters();
  fixture.run(request);
  CHECK(fixture.hub.requests("git-upload-pack") == 0);
}

TEST_CASE("mirror/sync_git: a branch that moves meanwhile does not mix two revisions") {
  if (!have_git()) return;
  for (const char* const when :
       {"/revision/", "/tree/", "/info/refs", "git-upload-pack", "resolve/"}) {
    CAPTURE(std::string(when));
    GitSite site;
    SyncFixture& fixture = site.fixture;
    auto files = sample_files();
    for (auto& file : files) {
      file.content = fakes::content_of("moved " + file.path + std::string(file.content.bytes));
    }
    GitOid moved;
    fixture.hub.script(
        {.match = when, .action = [&] { moved = fixture.hub.add_revision("org/m", files); }});
    SyncRequest request = fixture.request();
    // Upstream answers only when its git has made the commit, however busy the machine is.
    request.upstream.tuning.stall_window = Milliseconds(60'000);
    fixture.run(request);
    REQUIRE(moved != GitOid{});
    CHECK(check_mirrored(*fixture.store, fixture.commit, sample_files()) == "");
    CHECK(git_objects(fixture) == "fetched");
    CHECK(fixture.store->catalog().resolve(kRepo, "main") == fixture.commit);
    CHECK_FALSE(fixture.store->catalog().find_revision(kRepo, moved));
    fixture.run(request);
    CHECK(check_mirrored(*fixture.store, moved, files) == "");
  }
}

TEST_CASE("mirror/sync_git: whatever git does wrong, the revision arrives whole") {
  if (!have_git()) return;

  struct Row {
    const char* name;
    fakes::Fault fault;
    int count;
    const char* expected;
  };

  for (const Row& row : {Row{"reset once", fakes::Fault::Reset, 1, "fetched"},
                         Row{"truncated once", fakes::Fault::Truncate, 1, "fetched"},
                         Row{"busy once", fakes::Fault::Busy, 1, "fetched"},
                         Row{"wrong bytes", fakes::Fault::WrongBytes, -1, "rebuilt"},
                         Row{"always truncated", fakes::Fault::Truncate, -1, "rebuilt"},
                         Row{"a page", fakes::Fault::Html, -1, "rebuilt"},
                         Row{"refused", fakes::Fault::Expired, -1, "rebuilt"}}) {
    CAPTURE(row.name);
    GitSite site;
    fakes::Script script;
    script.fault = row.fault;
    script.match = "/git-upload-pack";
    script.count = row.count;
    script.amount = 200;
    site.fixture.hub.script(script);
    site.fixture.run();
    CHECK(check_mirrored(*site.fixture.store, site.fixture.commit, sample_files()) == "");
    CHECK(git_objects(site.fixture) == row.expected);
  }
}

TEST_CASE("mirror/sync_git: a listing that contradicts git's trees publishes nothing") {
  if (!have_git()) return;
  GitSite site;
  const std::string readme = "---\nlicense: mit\n---\n# A model\n";
  site.fixture.hub.edit_tree_text(to_hex(git_object_id("blob", as_bytes(readme))),
                                  to_hex(git_object_id("blob", as_bytes(std::string_view("{}")))));
  CHECK_THROWS_AS(site.fixture.run(), Error);
  CHECK_FALSE(site.fixture.store->catalog().find_revision(kRepo, site.fixture.commit));
}

TEST_CASE("mirror/sync_git: a pack lies in the store while it comes, and not longer") {
  if (!have_git()) return;
  GitSite site;
  SyncFixture& fixture = site.fixture;
  const auto spool = storage::spool_directory(*fixture.store);
  const auto packs = [&] {
    return std::ranges::count_if(fs::directory_iterator(spool), [](const fs::path& path) {
      return path.filename().string().starts_with("holdfast-pack-");
    });
  };
  std::atomic<std::ptrdiff_t> seen = 0;
  fixture.hub.script({.match = "/git-upload-pack", .action = [&] { seen = packs(); }});
  fixture.run();
  CHECK(git_objects(fixture) == "fetched");
  CHECK(seen == 1);
  CHECK(packs() == 0);
}

TEST_CASE("mirror/sync_git: a pack that does not fit on the disk is an error, no other history") {
  if (!have_git()) return;
  const tests::SmallDisk disk("400k");
  if (!disk.mounted()) return;
  GitSite site;
  HubOptions options;
  options.http.endpoint = parse_url(site.fixture.hub.endpoint());
  options.spool = disk.path();
  const auto upstream = make_hub_upstream(options);
  std::string why_not;
  CHECK(tests::kind_of([&] {
          upstream->git(kRepo, site.fixture.commit, GitDepth::Tip, why_not);
        }) == ErrorKind::NoSpace);
  CHECK(fs::is_empty(disk.path()));
  // Nowhere to keep it is another matter: then git is left alone.
  options.spool.clear();
  CHECK_FALSE(make_hub_upstream(options)->git(kRepo, site.fixture.commit, GitDepth::Tip, why_not));
  CHECK(why_not.find("no folder") != std::string::npos);
}

}  // namespace holdfast::mirror
