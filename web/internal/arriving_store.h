// The store as it will be once a revision on its way is complete: handlers answer from it without
// knowing. A decorator that lives for one request; what it opens outlives it. Thread-safe.
#pragma once

#include <memory>

#include "storage/pull_through.h"
#include "storage/store.h"

namespace holdfast::web {

// `base` is borrowed; `asked` is the word by which the client named the revision ("" = none).
std::unique_ptr<storage::Store> make_arriving_store(
    storage::Store& base, std::shared_ptr<storage::ArrivingRevision> arriving,
    std::string_view asked);

}  // namespace holdfast::web
