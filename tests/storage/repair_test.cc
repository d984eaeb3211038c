#include "storage/internal/repair.h"

#include <doctest/doctest.h>

#include "storage/internal/keys.h"
#include "storage/internal/local_care.h"
#include "tests/storage/care_fixture.h"

namespace holdfast::tests {
namespace {

Json::Object repair(CareFixture& fixture) {
  return fixture.store->care().fsck({.repair = true}, fixture.context);
}

std::size_t length(const Json::Object& result, std::string_view key) {
  return result.find(key)->as_array(key).size();
}

TEST_CASE("storage/repair: an upstream is found behind any number of holders without one") {
  CareFixture fixture;
  const Digest shared = fixture.put(kLarge, 1);
  const std::vector<Digest> thousand(1000, shared);
  fixture.publish("a/local", "one", thousand);
  fixture.publish("b/local", "two", thousand);
  fixture.origin = "https://hub.example";
  fixture.publish("z/mirrored", "three", {shared});
  fs::remove(fixture.file_of(shared));
  const Json::Object result = repair(fixture);
  CHECK(length(result, "hopeless") == 0);
  REQUIRE(length(result, "repairs") == 1);
  CHECK(result.find("repairs")->as_array()[0].find("repo")->as_string() == "model/z/mirrored");
}

TEST_CASE("storage/repair: what is fetched anyway brings its other objects too") {
  CareFixture fixture;
  fixture.origin = "https://hub.example";
  const Digest own = fixture.put(kLarge, 1), shared = fixture.put(kLarge, 2);
  fixture.publish("a/first", "one", {shared});
  fixture.publish("b/second", "two", {own, shared});
  for (const Digest& object : {own, shared}) fs::remove(fixture.file_of(object));
  const Digest broken[] = {own, shared};
  const Json::Object plan = fixture.store->care().plan_repair({.objects = broken});
  REQUIRE(length(plan, "repairs") == 1);
  CHECK(plan.find("repairs")->as_array()[0].find("objects")->as_uint() == 2);
}

TEST_CASE("storage/repair: a broken revision is named once, a lost one too") {
  CareFixture fixture;
  Publication bare;
  bare.repository = {
      .id = parse_repo_id("owner/name"), .origin = "local", .default_branch = "main"};
  bare.revision.commit = bare.revision.git_commit = git_object_id("commit", as_bytes("gone"));
  bare.revision.tree = git_object_id("tree", as_bytes("gone"));
  bare.refs = {{"refs/heads/main", bare.revision.commit}};
  fixture.store->catalog().publish(bare);
  const Json::Object result = repair(fixture);
  CHECK(kinds_of(result) == Kinds{"missing_git_object", "missing_git_object"});
  CHECK(length(result, "hopeless") == 1);

  change_rows(fixture, [&](Batch& batch) {
    batch.erase(Family::Head, keys::revision(bare.repository.id, to_hex(bare.revision.commit)));
  });
  const Json::Object lost = repair(fixture);
  CHECK(kinds_of(lost) == Kinds{"missing_revision"});
  CHECK(length(lost, "hopeless") == 1);
  CHECK(length(lost, "repairs") == 0);
}

TEST_CASE("storage/repair: a reference without its file keeps nothing any longer") {
  CareFixture fixture;
  const Digest named = fixture.put(kLarge, 1), kept = fixture.put(kLarge, 2);
  const RepoId repo = parse_repo_id("owner/name");
  const GitOid commit = fixture.publish("owner/name", "one", {named});
  change_rows(fixture, [&](Batch& batch) {
    batch.put(Family::Ref, keys::reference(kept, repo, commit, "gone"), "");
    batch.put(Family::Ref, keys::reference(kept, repo, commit, "file-0"), "");
  });
  CHECK(kinds_of(fixture.fsck(false)) == Kinds{"unused_reference", "unused_reference"});
  const Json::Object result = repair(fixture);
  CHECK(result.find("mended")->as_uint() == 2);
  CHECK(kinds_of(fixture.fsck(false)).empty());
  fixture.pass(kLeasePeriod + std::chrono::hours(1));
  CHECK(objects_of(fixture.gc({.now = true}), "freed") == 1);
  CHECK(fixture.store->blobs().find(named));
}

}  // namespace
}  // namespace holdfast::tests
