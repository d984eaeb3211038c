// What a git client asks of upload-pack over HTTP, in protocol 0 and 2 (git's gitprotocol-pack,
// gitprotocol-v2, gitprotocol-http). Pure; bad bytes are Error(Invalid) or Error(Corrupt).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/git/pack_plan.h"

namespace holdfast::web {

enum class GitProtocol { V0, V2 };

// From the Git-Protocol header ("version=2", perhaps among others). Version 1 counts as 0: clients
// take the answer of the older one.
GitProtocol git_protocol(std::string_view header) noexcept;

struct GitFetch {
  storage::git::PackRequest pack;
  bool done = false;  // the client sent all that it has
  // V0: there is more than the wants. Without, the client only asks where the depth ends.
  bool negotiates = false;
  bool side_band = false;      // V0: the pack comes in channels
  bool detailed_acks = false;  // V0
};

struct GitLsRefs {
  bool symrefs = false;
  std::vector<std::string> prefixes;  // empty = all
};

struct GitCommand {  // V2
  std::optional<GitFetch> fetch;
  std::optional<GitLsRefs> ls_refs;
};

// The body of a request with `Git-Protocol: version=2`.
GitCommand parse_git_command(std::string_view body);
// The body of a request without it.
GitFetch parse_git_fetch_v0(std::string_view body);

}  // namespace holdfast::web
