#include "mirror/git_history.h"

#include <deque>
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
    if (!is_object && blob != git.objects.end()) history.objects.emplace_back(*blob);
  }
  if (walk.files().size() != files.size()) {
    fail(ErrorKind::Corrupt, "upstream lists " + std::to_string(files.size()) +
                                 " files, its git tree has " + std::to_string(walk.files().size()));
  }
  return history;
}

namespace {

// Everything below the commits of a full history that is not in the tip's already.
class PastWalk {
 public:
  PastWalk(const RemoteGit& git, std::span<const storage::FileRecord> files, History& history)
      : git_(git), history_(history) {
    for (const auto& [oid, record] : history.objects) held_.insert(oid);
    for (const storage::FileRecord& file : files) {
      if (!file.lfs && file.object) held_.insert(file.blob);
    }
  }

  storage::git::Commit take_commit(const GitOid& oid) {
    return storage::git::parse_commit(take(oid, "commit").bytes);
  }

  void take_tree(const GitOid& oid, std::size_t depth) {
    if (held_.contains(oid)) return;
    if (depth > kPathDepthMax) {
      fail(ErrorKind::LimitExceeded, "upstream's git: tree " + to_hex(oid) + " nests too deeply");
    }
    for (const auto& entry : storage::git::parse_tree(take(oid, "tree").bytes)) {
      if (entry.mode == kDirectory) {
        take_tree(entry.oid, depth + 1);
      } else if (entry.mode != kModule && !held_.contains(entry.oid)) {
        take(entry.oid, "blob");
      }
    }
  }

 private:
  const storage::GitObjectRecord& take(const GitOid& oid, std::string_view type) {
    const auto found = git_.objects.find(oid);
    if (found == git_.objects.end() || found->second.type != type) {
      fail(ErrorKind::Corrupt, "upstream's git: " + std::string(type) + " " + to_hex(oid) +
                                   " of the history did not come");
    }
    if (held_.insert(oid).second) history_.objects.emplace_back(oid, found->second);
    return found->second;
  }

  const RemoteGit& git_;
  History& history_;
  std::set<GitOid> held_;
};

}  // namespace

std::vector<GitOid> add_past(const RemoteGit& git, const GitOid& commit,
                             std::span<const storage::FileRecord> files, History& history) {
  PastWalk walk(git, files, history);
  std::vector<GitOid> past;
  std::set<GitOid> met = {commit};
  std::deque<GitOid> open = {commit};
  while (!open.empty()) {
    const GitOid oid = open.front();
    open.pop_front();
    const storage::git::Commit parsed = walk.take_commit(oid);
    walk.take_tree(parsed.tree, 0);
    if (oid != commit) past.push_back(oid);
    if (past.size() > kGitCommitsMax) {
      fail(ErrorKind::LimitExceeded,
           "upstream's git: more than " + std::to_string(kGitCommitsMax) + " commits");
    }
    for (const GitOid& parent : parsed.parents) {
      if (met.insert(parent).second) open.push_back(parent);
    }
  }
  return past;
}

}  // namespace holdfast::mirror
