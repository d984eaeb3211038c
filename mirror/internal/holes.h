// Open holes of a repository: what the configuration lists and is not here. Rows of the catalog.
// A hole's commit is all zeros where nobody knows it, its path empty when all of the revision is
// missing, as it always is: a revision arrives whole.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mirror/internal/upstream_watch.h"
#include "storage/catalog.h"

namespace holdfast::mirror {

// Why a revision could not be mirrored.
struct Failure {
  std::string revision;  // as the rule or upstream names it; "" = the default branch, or all
  std::optional<GitOid> commit;
  std::string reason;
};

// {revision, commit, reason}: as results of jobs tell it.
Json::Object to_json(const Failure& failure);

// Makes `failures` the open holes of the watch's repository: what was open stays open with its
// time, what is new opens, and the rest closes if `all_asked`: without an answer from upstream
// nothing is known of other holes.
void settle_holes(storage::Catalog& catalog, UpstreamWatch& watch,
                  std::span<const Failure> failures, bool all_asked);

// Closes those of `holes` that are `closed`.
void close_holes(storage::Catalog& catalog, UpstreamWatch& watch,
                 std::span<const storage::Hole> holes,
                 const std::function<bool(const storage::Hole&)>& closed);

}  // namespace holdfast::mirror
