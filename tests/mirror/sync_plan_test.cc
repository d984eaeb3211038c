#include "mirror/sync_plan.h"

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include <doctest/doctest.h>

#include "mirror/internal/revision_choice.h"
#include "storage/base/error.h"
#include "storage/git/objects.h"

namespace holdfast::mirror {
namespace {

RemoteEntry git_file(const std::string& path, const std::string& content) {
  return {
      .path = path, .size_bytes = content.size(), .oid = git_object_id("blob", as_bytes(content))};
}

RemoteEntry lfs_file(const std::string& path, const std::string& content) {
  const Digest object = sha256(as_bytes(content));
  const std::string pointer = storage::git::lfs_pointer(object, content.size());
  return {.path = path,
          .size_bytes = content.size(),
          .oid = git_object_id("blob", as_bytes(pointer)),
          .lfs = RemoteLfs{.object = object, .pointer_bytes = pointer.size()}};
}

StoredObjects nothing_stored() {
  return {.has = [](const Digest&) { return false; },
          .of_blob = [](const GitOid&) { return std::nullopt; },
          .served = [](std::string_view) { return false; }};
}

std::string read_golden(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST_CASE("mirror/sync_plan: what is fetched, and why not the rest") {
  const std::vector<RemoteEntry> listing = {
      git_file("config.json", "{}"),
      git_file("README.md", "# hello"),
      {.path = "onnx", .directory = true, .oid = git_object_id("tree", {})},
      lfs_file("onnx/model.onnx", "not wanted"),
      lfs_file("model-1.safetensors", "weights one"),
      lfs_file("model-2.safetensors", "weights two"),
      lfs_file("copy.safetensors", "weights one"),
      git_file("also.json", "{}"),
  };
  StoredObjects stored = nothing_stored();
  stored.has = [&](const Digest& d) { return d == listing[5].lfs->object; };
  stored.of_blob = [&](const GitOid& blob) -> std::optional<Digest> {
    if (blob == listing[1].oid) return sha256(as_bytes("# hello"));
    return std::nullopt;
  };
  const SyncPlan plan = make_sync_plan(listing, {.exclude = {"onnx/*"}}, stored);
  const std::string golden = HOLDFAST_SOURCE_DIR "/tests/golden/mirror/sync_plan.txt";
  if (std::getenv("HOLDFAST_ACCEPT") != nullptr) {
    std::ofstream(golden, std::ios::binary) << to_text(plan);
    MESSAGE("SKIPPED: golden file rewritten");
    return;
  }
  CHECK(to_text(plan) == read_golden(golden));
  CHECK(plan.directories.size() == 1);
}

TEST_CASE("mirror/sync_plan: what is served already stays, selected or not") {
  const std::vector<RemoteEntry> listing = {lfs_file("a.bin", "aaa"), lfs_file("b.bin", "bbb")};
  StoredObjects stored = nothing_stored();
  stored.has = [](const Digest&) { return true; };
  stored.served = [](std::string_view path) { return path == "a.bin"; };
  const SyncPlan plan = make_sync_plan(listing, {.include = {"none"}}, stored);
  CHECK(plan.files[0].fate == Fate::Stored);
  CHECK(plan.files[0].file.object);
  CHECK(plan.files[1].fate == Fate::NotSelected);
  CHECK_FALSE(plan.files[1].file.object);
}

TEST_CASE("mirror/sync_plan: a listing that contradicts itself is refused") {
  struct Case {
    const char* name;
    std::vector<RemoteEntry> listing;
    const char* error;
  };

  RemoteEntry wrong_pointer = lfs_file("a.bin", "aaa");
  wrong_pointer.oid = git_object_id("blob", as_bytes("other"));
  RemoteEntry wrong_size = lfs_file("a.bin", "aaa");
  wrong_size.size_bytes = 4;
  const RemoteEntry directory{.path = "a", .directory = true};
  const Case cases[] = {
      {"twice", {git_file("a", "1"), git_file("a", "2")}, "listed twice"},
      {"file and directory", {git_file("a", "1"), directory}, "a file and a directory"},
      {"below a file", {git_file("a", "1"), git_file("a/b", "2")}, "below a file"},
      {"pointer of other bytes", {wrong_pointer}, "LFS pointer"},
      {"pointer of another size", {wrong_size}, "LFS pointer"},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    CHECK_THROWS_WITH_AS(make_sync_plan(c.listing, {}, nothing_stored()),
                         doctest::Contains(c.error), Error);
  }
}

TEST_CASE("mirror/sync_plan: the commit that a word for a revision means") {
  const auto oid = [](char digit) { return *parse_git_oid(std::string(40, digit)); };
  const std::vector<storage::Ref> refs = {{"refs/heads/main", oid('1')},
                                          {"refs/heads/dev", oid('2')},
                                          {"refs/tags/v1", oid('3')},
                                          {"refs/tags/dev", oid('4')},
                                          {"refs/pr/7", oid('5')}};

  struct Case {
    const char *word, *ref;
    char commit;  // ' ' = the refs do not tell
  };

  const Case cases[] = {
      {"", "refs/heads/main", '1'},
      {"HEAD", "refs/heads/main", '1'},
      {"main", "refs/heads/main", '1'},
      {"dev", "refs/heads/dev", '2'},
      {"v1", "refs/tags/v1", '3'},
      {"refs/tags/dev", "refs/tags/dev", '4'},
      {"refs/pr/7", "refs/pr/7", '5'},
      {"absent", "", ' '},
      {"1111111", "", ' '},
      {"6666666666666666666666666666666666666666", "", '6'},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.word));
    const auto choice = choose_revision(refs, c.word);
    CHECK(choice.has_value() == (c.commit != ' '));
    if (!choice) continue;
    CHECK(choice->commit == oid(c.commit));
    CHECK((choice->ref ? choice->ref->name : "") == c.ref);
  }
  const std::vector<storage::Ref> only = {{"refs/heads/master", oid('7')}};
  CHECK(choose_revision(only, "")->ref->name == "refs/heads/master");
  const std::vector<storage::Ref> two = {refs[1], {"refs/heads/x", oid('8')}};
  CHECK_FALSE(choose_revision(two, ""));
}

}  // namespace
}  // namespace holdfast::mirror
