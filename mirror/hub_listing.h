// The hub's JSON answers as values (hub-protocol sections 4.1, 4.2, 4.4, 4.5). Pure; foreign input.
// All throw Error(Corrupt) naming the document and the field; LimitExceeded above limits.h.
#pragma once

#include <string_view>
#include <vector>

#include "mirror/upstream.h"

namespace holdfast::mirror {

// {"branches": [{"name", "ref", "targetCommit"}], "converts", "tags", "pullRequests"?}
std::vector<storage::Ref> parse_refs(std::string_view text);

// One page of a list of repositories. Rows whose names break the hub's own rules are left out.
std::vector<ListedRepository> parse_repository_page(std::string_view text, storage::RepoKind kind);

// Repo info at one revision.
RemoteRevision parse_revision(std::string_view text);

// One page of a recursive tree listing.
std::vector<RemoteEntry> parse_tree_page(std::string_view text);

// The newest two of a commit list; `commit` must be the first.
RemoteCommit parse_commits(std::string_view text, const GitOid& commit);

// One page of a longer commit list.
struct CommitPage {
  std::vector<GitOid> commits;  // newest first
  bool cut = false;  // the last one's parents are not listed anywhere (a holdfast's list)
};

CommitPage parse_commit_page(std::string_view text);

// Throws Corrupt unless `path` is what git allows and safe: relative, no empty, "." or ".." part,
// no ".git" part, no control character, within kPathBytesMax and kPathDepthMax.
void check_path(std::string_view path);

}  // namespace holdfast::mirror
