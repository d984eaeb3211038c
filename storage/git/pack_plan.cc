#include "storage/git/pack_plan.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <set>
#include <string_view>

#include "storage/base/error.h"

namespace holdfast::storage::git {
namespace {

constexpr std::uint32_t kDirectoryMode = 040000;
constexpr std::uint32_t kModuleMode = 0160000;
constexpr std::uint32_t kUnlimited = std::numeric_limits<std::uint32_t>::max();
// Deeper than any path that a file system takes; a cycle cannot exist among hashes.
constexpr std::size_t kTreeDepthMax = 256;

class Walk {
 public:
  Walk(const Catalog& catalog, const CommitSet& commits, const PackRequest& request)
      : catalog_(catalog),
        commits_(commits),
        request_(request),
        ends_(request.shallow.begin(), request.shallow.end()) {}

  PackPlan commits() {
    mark_commits_the_client_has();
    walk_commits();
    return std::move(plan_);
  }

  PackPlan run() {
    for (const Commit& commit : mark_commits_the_client_has()) walk_tree(commit.tree, "", 0);
    const auto trees = walk_commits();
    sending_ = true;
    for (const GitOid& tree : trees) walk_tree(tree, "", 0);
    return std::move(plan_);
  }

 private:
  std::optional<Commit> find_commit(const GitOid& oid) const {
    if (!commits_.contains(oid)) return std::nullopt;
    const auto object = catalog_.find_git_object(oid);
    if (!object || object->type != to_text(ObjectType::Commit)) return std::nullopt;
    return parse_commit(object->bytes);
  }

  // All commits behind the common ones. Returns the common ones, whose trees the client has.
  std::vector<Commit> mark_commits_the_client_has() {
    std::vector<Commit> common;
    const auto tips = common_commits(commits_, request_.haves);
    std::deque<GitOid> queue(tips.begin(), tips.end());
    for (std::size_t met = 0; !queue.empty(); ++met) {
      const GitOid oid = queue.front();
      queue.pop_front();
      const bool is_new = had_.insert(oid).second;
      if (!is_new && met >= tips.size()) continue;
      const auto commit = find_commit(oid);
      if (!commit) continue;
      if (met < tips.size()) common.push_back(*commit);
      if (ends_.contains(oid)) continue;
      queue.insert(queue.end(), commit->parents.begin(), commit->parents.end());
    }
    return common;
  }

  // Breadth first, so that every commit is met at its least depth. Returns the trees to send.
  std::vector<GitOid> walk_commits() {
    std::vector<GitOid> trees;
    // Commits and how many of their line may still come, themselves included.
    std::deque<std::pair<GitOid, std::uint32_t>> queue;
    const bool limited = request_.depth != 0 && !request_.relative;
    for (const GitOid& want : request_.wants) {
      queue.emplace_back(want, limited ? request_.depth : kUnlimited);
    }
    std::set<GitOid> met;
    while (!queue.empty()) {
      auto [oid, left] = queue.front();
      queue.pop_front();
      if (!met.insert(oid).second) continue;
      const bool was_end = ends_.contains(oid);
      if (was_end && request_.relative) left = std::min(left, request_.depth + 1);
      const auto commit = find_commit(oid);
      if (!commit) fail(ErrorKind::NotFound, "commit " + to_hex(oid) + ": not held");
      if (!had_.contains(oid)) {
        plan_.objects.push_back({.oid = oid, .type = ObjectType::Commit, .content = {}});
        trees.push_back(commit->tree);
      }
      if (ends_here(*commit, left)) {
        if (!was_end && !had_.contains(oid)) plan_.shallow.push_back(oid);
        continue;
      }
      if (was_end) {
        // Without a depth the client keeps its boundary.
        if (request_.depth == 0) continue;
        if (!commit->parents.empty()) plan_.unshallow.push_back(oid);
      }
      for (const GitOid& parent : commit->parents) {
        queue.emplace_back(parent, left == kUnlimited ? left : left - 1);
      }
    }
    return trees;
  }

  bool ends_here(const Commit& commit, std::uint32_t left) const {
    if (commit.parents.empty()) return false;
    if (left <= 1) return true;
    return std::ranges::any_of(
        commit.parents, [&](const GitOid& parent) { return !find_commit(parent).has_value(); });
  }

  void walk_tree(const GitOid& oid, const std::string& path, std::size_t depth) {
    if (!seen_.insert(oid).second) return;
    const auto object = catalog_.find_git_object(oid);
    if (!object || object->type != to_text(ObjectType::Tree)) {
      if (!sending_) return;
      fail(ErrorKind::NotFound, "tree " + to_hex(oid) + " of '" + path + "': not held");
    }
    if (depth > kTreeDepthMax) fail(ErrorKind::Corrupt, path + ": directories nest too deeply");
    if (sending_) plan_.objects.push_back({.oid = oid, .type = ObjectType::Tree, .content = {}});
    for (const TreeEntry& entry : parse_tree(object->bytes)) {
      const std::string below = path.empty() ? entry.name : path + "/" + entry.name;
      if (entry.mode == kDirectoryMode) {
        walk_tree(entry.oid, below, depth + 1);
      } else if (entry.mode != kModuleMode && seen_.insert(entry.oid).second && sending_) {
        add_blob(entry.oid, below);
      }
    }
  }

  void add_blob(const GitOid& oid, const std::string& path) {
    PackObject blob{.oid = oid, .type = ObjectType::Blob, .content = {}};
    blob.content = catalog_.find_blob_object(oid);
    if (!blob.content && !catalog_.find_git_object(oid)) {
      fail(ErrorKind::NotFound,
           path + ": not held: this revision was mirrored without it, so git cannot have it");
    }
    plan_.objects.push_back(blob);
  }

  const Catalog& catalog_;
  const CommitSet& commits_;
  const PackRequest& request_;
  std::set<GitOid> ends_;  // commits of the client whose parents it lacks
  PackPlan plan_;
  std::set<GitOid> had_;   // commits
  std::set<GitOid> seen_;  // trees and blobs, sent or had
  bool sending_ = false;
};

}  // namespace

std::vector<GitOid> common_commits(const CommitSet& commits, std::span<const GitOid> haves) {
  std::vector<GitOid> common;
  std::set<GitOid> met;
  for (const GitOid& oid : haves) {
    if (commits.contains(oid) && met.insert(oid).second) common.push_back(oid);
  }
  return common;
}

PackPlan plan_commits(const Catalog& catalog, const CommitSet& commits,
                      const PackRequest& request) {
  return Walk(catalog, commits, request).commits();
}

PackPlan make_pack_plan(const Catalog& catalog, const CommitSet& commits,
                        const PackRequest& request) {
  return Walk(catalog, commits, request).run();
}

}  // namespace holdfast::storage::git
