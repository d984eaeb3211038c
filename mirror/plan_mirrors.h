// What a [[mirror]] entry of the configuration means: which repositories, which of their refs,
// which of their files. The values are pure; expand() asks an upstream.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mirror/upstream.h"
#include "storage/catalog.h"
#include "storage/repo_id.h"

namespace holdfast::mirror {

// One [[mirror]] entry.
struct MirrorRule {
  std::string repo;  // "owner/name", "Qwen/*", "dataset/org/*"; '*', '?' and sets in either part
  std::vector<std::string> upstreams;  // names, asked in this order; empty: the first configured
  // Globs over the names of branches and tags, or commits; empty: the default branch.
  std::vector<std::string> revisions;
  std::vector<std::string> include, exclude;  // of paths
  std::uint64_t size_bytes_max = 0;   // selected files of one revision, all together; 0: no limit
  std::vector<std::string> licenses;  // globs, case-insensitive; empty: any
  bool cards_only = false;            // README.md and repo info, no weights
  bool full_history = false;          // git's commits before each revision, too
  std::chrono::seconds every{0};      // 0: only when asked by hand
  unsigned keep = 0;                  // newest revisions kept per ref; 0: all

  bool operator==(const MirrorRule&) const = default;
};

// The pattern of a rule, taken apart. Error(Invalid) names the pattern and the broken rule.
struct RepoPattern {
  storage::RepoKind kind = storage::RepoKind::Model;
  std::string owner;   // without wildcards, or a glob, or "" for one-part names
  std::string name;    // likewise
  bool exact = false;  // no wildcard at all

  bool operator==(const RepoPattern&) const = default;
};

RepoPattern parse_repo_pattern(std::string_view text);
// The one owner whose repositories the pattern means, or "".
std::string listed_owner(const RepoPattern& pattern);
bool matches(const RepoPattern& pattern, const storage::RepoId& repo) noexcept;

// What a rule takes of a revision: its include and exclude, or the card alone.
storage::Selection selection_of(const MirrorRule& rule);

// The rule that decides about `repo`: an exact name before a pattern, then the first listed.
// nullptr when none matches.
const MirrorRule* find_rule(std::span<const MirrorRule> rules, const storage::RepoId& repo);

// The repositories that a rule means at an upstream, most recently changed first. An exact name is
// itself, without a request and without anything known of it. With `since`, those whose last change
// lies before it are left out, and the listing is read no further than needed. A watermark is the
// `changed` of the newest row, minus an overlap of the caller's choice.
// Errors: as Upstream::repositories().
std::vector<ListedRepository> expand(const MirrorRule& rule, Upstream& upstream,
                                     std::optional<Time> since);

// Of upstream's refs, those that the globs mean: "main", "v1.*", "refs/pr/3", and full commit ids
// as refs without a name. Branches and tags by their short names, or by their full names as other
// refs too; pull requests only by "refs/pr/…". Without globs the default branch. In the order of
// the globs, each once. `missing` has the globs without wildcards that meant nothing.
struct ChosenRefs {
  std::vector<storage::Ref> refs;
  std::vector<std::string> missing;
};

ChosenRefs choose_refs(std::span<const storage::Ref> refs, std::span<const std::string> globs);

}  // namespace holdfast::mirror
