// What git asks for when it clones.
#pragma once

#include <string>

#include "storage/git/pkt_line.h"
#include "storage/store.h"

namespace holdfast::tests {

// The body of a fetch of all that a repository's main branch has, in protocol 2.
inline std::string clone_request(storage::Store& store, const std::string& id) {
  using storage::git::pkt;
  const auto repo = storage::parse_repo_id(id);
  const auto commit = store.catalog().resolve(repo, "main").value();
  const auto revision = store.catalog().find_revision(repo, commit).value();
  return pkt("command=fetch") + std::string(storage::git::kPktDelim) +
         pkt("want " + to_hex(revision.git_commit) + "\n") + pkt("done\n") +
         std::string(storage::git::kPktFlush);
}

}  // namespace holdfast::tests
