#include "tests/convert/stored_model.h"

#include <string>

#include "storage/base/file.h"
#include "storage/git/objects.h"

namespace holdfast::convert::test {

GitOid publish_folder(storage::Store& store, const storage::RepoId& repo,
                      const std::filesystem::path& folder) {
  storage::Publication publication{
      .repository = {.id = repo, .origin = "local", .default_branch = "main"}};
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string bytes = read_file(entry.path());
    publication.files.push_back({.path = entry.path().filename().string(),
                                 .size_bytes = bytes.size(),
                                 .blob = git_object_id("blob", as_bytes(bytes)),
                                 .object = store.blobs().put(as_bytes(bytes))});
  }
  const auto snapshot =
      storage::git::make_snapshot(publication.files, {.time = kCommitTime, .message = "x\n"});
  publication.revision = {.commit = snapshot.commit,
                          .git_commit = snapshot.commit,
                          .tree = snapshot.tree,
                          .time = kCommitTime,
                          .title = "x"};
  for (const auto& [oid, object] : snapshot.objects) {
    publication.git_objects.emplace_back(
        oid,
        storage::GitObjectRecord{.type = std::string(to_text(object.type)), .bytes = object.bytes});
  }
  publication.refs = {{.name = "refs/heads/main", .commit = snapshot.commit}};
  store.catalog().publish(publication);
  return snapshot.commit;
}

}  // namespace holdfast::convert::test
