// Which refs can be beside each other. Git keeps refs as files, so none can be a directory of
// another: "refs/heads/dev" and "refs/heads/dev/x" exclude each other (gitrepository-layout(5)).
// The catalog makes no such pair, whoever asks; these are for who wants to know before. Old stores
// may hold pairs, whose refs stay and may move. Thread-safe.
#pragma once

#include <string_view>
#include <vector>

#include "storage/catalog.h"

namespace holdfast::storage {

// Of two full names; a name can be beside itself.
bool can_be_beside(std::string_view ref, std::string_view other) noexcept;

// The refs of the repository that a new ref of this name could not be beside, in name order.
std::vector<Ref> refs_in_way(const Catalog& catalog, const RepoId& repo, std::string_view name);

// Error(Conflict) that names both.
[[noreturn]] void fail_in_way(const RepoId& repo, std::string_view name, std::string_view other);

// Throws that unless the repository has the ref, or could be given it as it is now.
void check_place(const Catalog& catalog, const RepoId& repo, std::string_view name);

}  // namespace holdfast::storage
