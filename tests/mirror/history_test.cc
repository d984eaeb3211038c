#include "mirror/history.h"

#include <doctest/doctest.h>

#include "storage/git/objects.h"

namespace holdfast::mirror {
namespace {

storage::FileRecord file(const std::string& path, const std::string& content) {
  return {.path = path,
          .size_bytes = content.size(),
          .blob = git_object_id("blob", as_bytes(content)),
          .object = sha256(as_bytes(content))};
}

GitOid tree_of(const std::vector<storage::git::TreeEntry>& entries) {
  return git_object_id("tree", as_bytes(storage::git::encode_tree(entries)));
}

TEST_CASE("mirror/history: a folder's commit is made again, another's is replaced by ours") {
  const std::vector<storage::FileRecord> files = {file("a.txt", "1"), file("d/b.txt", "2")};
  RemoteRevision revision;
  revision.time = Time(std::chrono::seconds(946'684'800));
  const auto theirs = storage::git::make_snapshot(
      files, {.time = revision.time, .message = std::string(kFolderMessage)});
  revision.commit = theirs.commit;
  const History genuine = rebuild_history(files, revision, {});
  CHECK(genuine.genuine);
  CHECK(genuine.git_commit == theirs.commit);
  CHECK(genuine.title == "Take in a model folder");
  revision.commit.bytes[0] ^= 1;
  const History ours = rebuild_history(files, revision, {.message = "Add weights\n\nmore"});
  CHECK_FALSE(ours.genuine);
  CHECK(ours.tree == theirs.tree);
  CHECK(ours.title == "Add weights");
  bool names_source = false;
  for (const auto& [oid, object] : ours.objects) {
    names_source |=
        object.bytes.find("Upstream-Commit: " + to_hex(revision.commit)) != std::string::npos;
  }
  CHECK(names_source);
  CHECK(rebuild_history(files, revision, {.message = "Add weights\n\nmore"}).git_commit ==
        ours.git_commit);
}

TEST_CASE("mirror/history: modes follow from tree ids where they can") {
  std::vector<storage::FileRecord> files = {file("d/run.sh", "x"), file("d/text", "y"),
                                            file("e/a", "z"), file("f/odd", "w")};
  const RemoteEntry directories[] = {
      {.path = "d",
       .directory = true,
       .oid = tree_of({{0100755, "run.sh", files[0].blob}, {0100644, "text", files[1].blob}})},
      {.path = "e", .directory = true, .oid = tree_of({{0100644, "a", files[2].blob}})},
      {.path = "f", .directory = true, .oid = tree_of({{0100644, "another", files[3].blob}})},
  };
  CHECK(settle_modes(files, directories) == std::vector<std::string>{"f"});
  CHECK(files[0].mode == 0100755);
  CHECK(files[1].mode == 0100644);
  CHECK(files[2].mode == 0100644);
  CHECK(files[3].mode == 0100644);
}

}  // namespace
}  // namespace holdfast::mirror
