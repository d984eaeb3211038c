#include "mirror/history.h"

#include <map>

#include "storage/git/objects.h"

namespace holdfast::mirror {
namespace {

using storage::git::TreeEntry;

constexpr std::uint32_t kExecutable = 0100755;
constexpr std::uint32_t kDirectory = 040000;

struct Directory {
  std::vector<TreeEntry> entries;
  std::vector<storage::FileRecord*> files;  // as in entries, nullptr for directories
};

std::pair<std::string, std::string> split(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

bool has_id(const std::vector<TreeEntry>& entries, const GitOid& oid) {
  return git_object_id("tree", as_bytes(storage::git::encode_tree(entries))) == oid;
}

// One executable file, or all of them: what repositories have in practice.
bool explain(Directory& directory, const GitOid& oid) {
  if (has_id(directory.entries, oid)) return true;
  std::vector<TreeEntry> all = directory.entries;
  for (std::size_t i = 0; i < directory.entries.size(); ++i) {
    if (directory.files[i] == nullptr) continue;
    std::vector<TreeEntry> one = directory.entries;
    one[i].mode = all[i].mode = kExecutable;
    if (!has_id(one, oid)) continue;
    directory.files[i]->mode = kExecutable;
    return true;
  }
  if (!has_id(all, oid)) return false;
  for (storage::FileRecord* const file : directory.files) {
    if (file != nullptr) file->mode = kExecutable;
  }
  return true;
}

History from_snapshot(storage::git::Snapshot snapshot, const std::string& message) {
  History history{.git_commit = snapshot.commit,
                  .tree = snapshot.tree,
                  .title = message.substr(0, message.find('\n'))};
  for (auto& [oid, object] : snapshot.objects) {
    history.objects.emplace_back(oid,
                                 storage::GitObjectRecord{.type = std::string(to_text(object.type)),
                                                          .bytes = std::move(object.bytes)});
  }
  return history;
}

}  // namespace

std::vector<std::string> settle_modes(std::span<storage::FileRecord> files,
                                      std::span<const RemoteEntry> directories) {
  std::map<std::string, Directory> by_path;
  for (storage::FileRecord& file : files) {
    auto [parent, name] = split(file.path);
    Directory& directory = by_path[parent];
    directory.entries.push_back({.mode = file.mode, .name = name, .oid = file.blob});
    directory.files.push_back(&file);
  }
  for (const RemoteEntry& entry : directories) {
    auto [parent, name] = split(entry.path);
    Directory& directory = by_path[parent];
    directory.entries.push_back({.mode = kDirectory, .name = name, .oid = entry.oid});
    directory.files.push_back(nullptr);
  }
  std::vector<std::string> unexplained;
  for (const RemoteEntry& entry : directories) {
    if (!explain(by_path[entry.path], entry.oid)) unexplained.push_back(entry.path);
  }
  return unexplained;
}

History rebuild_history(std::span<const storage::FileRecord> files, const RemoteRevision& revision,
                        const RemoteCommit& commit) {
  std::vector<storage::git::SnapshotInfo> candidates;
  if (commit.message) {
    for (const char* const end : {"", "\n"}) {
      candidates.push_back(
          {.parents = commit.parents, .time = revision.time, .message = *commit.message + end});
    }
  }
  candidates.push_back({.time = revision.time, .message = std::string(kFolderMessage)});
  for (const auto& info : candidates) {
    auto snapshot = storage::git::make_snapshot(files, info);
    if (snapshot.commit != revision.commit) continue;
    History history = from_snapshot(std::move(snapshot), info.message);
    history.genuine = true;
    return history;
  }
  const std::string message = commit.message.value_or("Mirrored revision") +
                              "\n\nUpstream-Commit: " + to_hex(revision.commit) + "\n";
  return from_snapshot(
      storage::git::make_snapshot(files, {.time = revision.time, .message = message}), message);
}

}  // namespace holdfast::mirror
