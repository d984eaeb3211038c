#include "mirror/internal/revision_choice.h"

#include <algorithm>

namespace holdfast::mirror {
namespace {

const storage::Ref* find_ref(std::span<const storage::Ref> refs, std::string_view name) {
  const auto found = std::ranges::find(refs, name, &storage::Ref::name);
  return found == refs.end() ? nullptr : &*found;
}

const storage::Ref* default_ref(std::span<const storage::Ref> refs) {
  if (const auto* const main = find_ref(refs, "refs/heads/main")) return main;
  const storage::Ref* only = nullptr;
  for (const storage::Ref& ref : refs) {
    if (!ref.name.starts_with("refs/heads/")) continue;
    if (only != nullptr) return nullptr;
    only = &ref;
  }
  return only;
}

}  // namespace

std::optional<RevisionChoice> choose_revision(std::span<const storage::Ref> refs,
                                              std::string_view revision) {
  const std::string name(revision);
  const storage::Ref* ref = nullptr;
  if (name.empty() || name == "HEAD") {
    ref = default_ref(refs);
  } else {
    for (const char* const prefix : {"", "refs/heads/", "refs/tags/"}) {
      if (ref == nullptr) ref = find_ref(refs, prefix + name);
    }
  }
  if (ref != nullptr) return RevisionChoice{.commit = ref->commit, .ref = *ref};
  if (const auto commit = parse_git_oid(revision))
    return RevisionChoice{.commit = *commit, .ref = {}};
  return std::nullopt;
}

}  // namespace holdfast::mirror
