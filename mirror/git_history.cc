#include "mirror/git_history.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "mirror/limits.h"
#include "storage/base/error.h"
#include "storage/git/objects.h"

namespace holdfast::mirror {
namespace {

constexpr std::uint32_t kDirectory = 040000;
constexpr std::uint32_t kModule = 0160000;

class TreeWalk {
 public:
  TreeWalk(const RemoteGit& git, std::size_t files_max, History& history)
      : git_(git), files_max_(files_max), history_(history) {}

  // Adds the tree and all below it to the history, and their files to files().
  void add_tree(const GitOid& oid, const std::string& path, std::size_t depth) {
    if (depth > kPathDepthMax) fail(ErrorKind::LimitExceeded, path + ": nests too deeply");
    if (++trees_ > kEntriesMax) fail(ErrorKind::LimitExceeded, "upstream's git: too many trees");
    const storage::GitObjectRecord& tree = take(oid, "tree", path);
    for (const auto& entry : storage::git::parse_tree(tree.bytes)) {
      const std::string below = path.empty() ? entry.name : path + "/" + entry.name;
      if (entry.mode == kDirectory) {
        add_tree(entry.oid, below, depth + 1);
      } else if (entry.mode != kModule) {
        files_.emplace(below, std::pair(entry.mode, entry.oid));
        if (files_.size() > files_max_) {
          fail(ErrorKind::Corrupt,
               "upstream's git tree has more files than its listing, " + below + " for one");
        }
      }
    }
  }

  const storage::GitObjectRecord& take(const GitOid& oid, std::string_view type,
                                       const std::string& path) {
    const auto found = git_.objects.find(oid);
    if (found == git_.objects.end() || found->second.type != type) {
      fail(ErrorKind::Corrupt, "upstream's git: " + std::string(type) + " " + to_hex(oid) +
                                   " of '" + path + "' did not come");
    }
    if (taken_.insert(oid).second) history_.objects.emplace_back(oid, found->second);
    return found->second;
  }

  const std::map<std::string, std::pair<std::uint32_t, GitOid>>& files() const { return files_; }

 private:
  const RemoteGit& git_;
  std::size_t files_max_;
  History& history_;
  std::size_t trees_ = 0;
  std::set<GitOid> taken_;
  std::map<std::string, std::pair<std::uint32_t, GitOid>> files_;  // path to mode and blob
};

}  // namespace

History history_from_git(const RemoteGit& git, const GitOid& commit,
                         std::span<storage::FileRecord> files) {
  History history{.git_commit = commit, .tree = {}, .genuine = true, .title = {}, .objects = {}};
  TreeWalk walk(git, files.size(), history);
  const auto parsed = storage::git::parse_commit(walk.take(commit, "commit", "").bytes);
  history.tree = parsed.tree;
  history.title = parsed.message.substr(0, parsed.message.find('\n'));
  walk.add_tree(parsed.tree, "", 0);
  for (storage::FileRecord& file : files) {
    const auto found = walk.files().find(file.path);
    if (found == walk.files().end() || found->second.second != file.blob) {
      fail(ErrorKind::Corrupt, file.path + ": upstream lists blob " + to_hex(file.blob) +
                                   ", its git tree has " +
                                   (found == walk.files().end() ? std::string("no such file")
                                                                : to_hex(found->second.second)));
    }
    file.mode = found->second.first;
    const auto blob = git.objects.find(file.blob);
    const bool is_object = !file.lfs && file.object.has_value();
    if (!is_object && blob != git.objects.end()) history.objects.push_back(*blob);
  }
  if (walk.files().size() != files.size()) {
    fail(ErrorKind::Corrupt, "upstream lists " + std::to_string(files.size()) +
                                 " files, its git tree has " + std::to_string(walk.files().size()));
  }
  return history;
}

}  // namespace holdfast::mirror
