// The access book as handlers use it. Thread-safe; throws a Refusal, or what the book throws.
#pragma once

#include <string>

#include "storage/access.h"
#include "web/internal/handlers.h"

namespace holdfast::web {

// 501 for a store that keeps none.
storage::AccessBook& access_book(const Call& call);

// Decides in the caller's name. 404 for who has not asked, unless `unasked`: then for who is not
// known.
struct Decision {
  storage::RepoId repo;
  std::string who;
  storage::Standing standing = storage::Standing::Accepted;
  bool unasked = false;
};

void decide_access(const Call& call, const Decision& decision);

}  // namespace holdfast::web
