#include "storage/ref_places.h"

#include <algorithm>
#include <string>

#include "storage/base/error.h"

namespace holdfast::storage {
namespace {

bool is_below(std::string_view name, std::string_view directory) noexcept {
  return name.size() > directory.size() && name.starts_with(directory) &&
         name[directory.size()] == '/';
}

}  // namespace

bool can_be_beside(std::string_view ref, std::string_view other) noexcept {
  return !is_below(ref, other) && !is_below(other, ref);
}

std::vector<Ref> refs_in_way(const Catalog& catalog, const RepoId& repo, std::string_view name) {
  std::vector<Ref> found = catalog.refs(repo);
  std::erase_if(found, [&](const Ref& ref) { return can_be_beside(name, ref.name); });
  return found;
}

void fail_in_way(const RepoId& repo, std::string_view name, std::string_view other) {
  fail(ErrorKind::Conflict, to_text(repo) + ": ref \"" + std::string(name) +
                                "\": git cannot have it beside \"" + std::string(other) + "\"");
}

void check_place(const Catalog& catalog, const RepoId& repo, std::string_view name) {
  const std::vector<Ref> refs = catalog.refs(repo);
  if (std::ranges::find(refs, name, &Ref::name) != refs.end()) return;
  const auto in_way =
      std::ranges::find_if(refs, [&](const Ref& ref) { return !can_be_beside(name, ref.name); });
  if (in_way != refs.end()) fail_in_way(repo, name, in_way->name);
}

}  // namespace holdfast::storage
