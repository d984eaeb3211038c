#include "mirror/internal/holes.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace holdfast::mirror {
namespace {

Json commit_json(const GitOid& commit) {
  return commit == GitOid{} ? Json() : Json(to_hex(commit));
}

// Failures without a commit share the repository's own hole.
std::vector<storage::Hole> holes_for(const storage::RepoId& repo,
                                     std::span<const Failure> failures) {
  std::vector<storage::Hole> out;
  for (const Failure& failure : failures) {
    const GitOid commit = failure.commit.value_or(GitOid{});
    const auto same = std::ranges::find(out, commit, &storage::Hole::commit);
    if (same != out.end()) {
      if (same->reason != failure.reason) same->reason += "; " + failure.reason;
      continue;
    }
    out.push_back({.repo = repo, .commit = commit, .path = "", .reason = failure.reason});
  }
  return out;
}

bool same_place(const storage::Hole& a, const storage::Hole& b) {
  return a.commit == b.commit && a.path == b.path;
}

}  // namespace

Json::Object to_json(const Failure& failure) {
  return {{"revision", failure.revision},
          {"commit", commit_json(failure.commit.value_or(GitOid{}))},
          {"reason", failure.reason}};
}

void settle_holes(storage::Catalog& catalog, UpstreamWatch& watch,
                  std::span<const Failure> failures, bool all_asked) {
  const std::vector<storage::Hole> before = catalog.holes(watch.repo());
  std::vector<storage::Hole> now = holes_for(watch.repo(), failures);
  for (storage::Hole& hole : now) {
    const auto known = std::ranges::find_if(
        before, [&](const storage::Hole& old) { return same_place(old, hole); });
    hole.since = known != before.end() ? known->since : std::chrono::system_clock::now();
    if (known != before.end()) continue;
    watch.emit(
        EventKind::HoleOpened,
        {{"commit", commit_json(hole.commit)}, {"path", hole.path}, {"reason", hole.reason}});
  }
  if (!now.empty()) catalog.put_holes(now);
  if (!all_asked) return;
  close_holes(catalog, watch, before, [&](const storage::Hole& old) {
    return std::ranges::none_of(now,
                                [&](const storage::Hole& hole) { return same_place(old, hole); });
  });
}

void close_holes(storage::Catalog& catalog, UpstreamWatch& watch,
                 std::span<const storage::Hole> holes,
                 const std::function<bool(const storage::Hole&)>& closed) {
  for (const storage::Hole& hole : holes) {
    if (!closed(hole)) continue;
    catalog.clear_hole(hole.repo, hole.commit, hole.path);
    watch.emit(EventKind::HoleClosed, {{"commit", commit_json(hole.commit)}, {"path", hole.path}});
  }
}

}  // namespace holdfast::mirror
