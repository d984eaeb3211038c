// Which commit a user's word for a revision means, and which ref it should move. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "storage/catalog.h"

namespace holdfast::mirror {

struct RevisionChoice {
  GitOid commit;
  std::optional<storage::Ref> ref;
};

// "" and "HEAD" mean refs/heads/main, else the only branch; a name is looked for as it stands, then
// as a branch, then as a tag; 40 hex digits are a commit. Nothing when the refs do not tell.
std::optional<RevisionChoice> choose_revision(std::span<const storage::Ref> refs,
                                              std::string_view revision);

}  // namespace holdfast::mirror
