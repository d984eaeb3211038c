// The commit that we make ourselves when a source has no git history.
#include <algorithm>
#include <utility>

#include "storage/base/error.h"
#include "storage/git/objects.h"

namespace holdfast::storage::git {
namespace {

constexpr std::string_view kAuthor = "Holdfast <holdfast@localhost>";
constexpr std::uint32_t kDirectoryMode = 040000;

GitOid add_object(Snapshot& snapshot, ObjectType type, std::string bytes) {
  const GitOid oid = git_object_id(to_text(type), as_bytes(bytes));
  snapshot.objects.emplace_back(oid, Object{.type = type, .bytes = std::move(bytes)});
  return oid;
}

void add_pointer(Snapshot& snapshot, const FileRecord& file) {
  // Nothing is known about the content of a file outside the selection but the id of its pointer.
  if (!file.lfs || !file.object) return;
  std::string pointer = lfs_pointer(*file.object, file.size_bytes);
  if (git_object_id("blob", as_bytes(pointer)) != file.blob)
    fail(ErrorKind::Invalid, file.path + ": git blob " + to_hex(file.blob) +
                                 ": expected the id of the file's LFS pointer");
  add_object(snapshot, ObjectType::Blob, std::move(pointer));
}

// Files sorted by path, of which all share the first `prefix` characters, a directory's name.
GitOid add_tree(Snapshot& snapshot, std::span<const FileRecord* const> files, std::size_t prefix) {
  std::vector<TreeEntry> entries;
  while (!files.empty()) {
    const FileRecord& file = *files.front();
    const std::size_t slash = file.path.find('/', prefix);
    if (slash == file.path.npos) {
      entries.push_back({.mode = file.mode, .name = file.path.substr(prefix), .oid = file.blob});
      files = files.subspan(1);
      continue;
    }
    const std::string_view directory = std::string_view(file.path).substr(0, slash + 1);
    const auto end = std::ranges::find_if_not(
        files, [&](const FileRecord* other) { return other->path.starts_with(directory); });
    const auto count = static_cast<std::size_t>(end - files.begin());
    entries.push_back({.mode = kDirectoryMode,
                       .name = std::string(directory.substr(prefix, slash - prefix)),
                       .oid = add_tree(snapshot, files.first(count), slash + 1)});
    files = files.subspan(count);
  }
  return add_object(snapshot, ObjectType::Tree, encode_tree(std::move(entries)));
}

}  // namespace

Snapshot make_snapshot(std::span<const FileRecord> files, const SnapshotInfo& info) {
  std::vector<const FileRecord*> sorted;
  sorted.reserve(files.size());
  for (const FileRecord& file : files) sorted.push_back(&file);
  std::ranges::sort(sorted, {}, &FileRecord::path);

  Snapshot snapshot;
  for (const FileRecord* file : sorted) add_pointer(snapshot, *file);
  snapshot.tree = add_tree(snapshot, sorted, 0);
  Commit commit{.tree = snapshot.tree, .parents = info.parents};
  commit.author = commit.committer = info.author.empty() ? std::string(kAuthor) : info.author;
  commit.author_time = commit.committer_time = info.time;
  commit.message = info.message.ends_with('\n') ? info.message : info.message + "\n";
  snapshot.commit = add_object(snapshot, ObjectType::Commit, encode_commit(commit));
  return snapshot;
}

}  // namespace holdfast::storage::git
