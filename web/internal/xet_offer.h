// What listings and answers with files say of Xet, where a client may read a file that way.
// Thread-safe; throws what the catalog throws.
#pragma once

#include <string>

#include "storage/catalog.h"
#include "web/handler.h"
#include "web/hot_files.h"
#include "web/internal/answers.h"

namespace holdfast::web {

// The name by which clients read this file of a revision by Xet; "" when they do not: it is not
// offered, or has no index yet, which is then asked for.
std::string xet_name(const Services& services, const RevisionAt& at,
                     const storage::FileRecord& file);

// Whether the caller gets such names in a listing of the repository. Who may not read its files
// learns that from their plain address.
bool lists_xet_names(const Call& call, const storage::RepoId& repo);

// Adds to an answer with `file`, or instead of it gives the description that JavaScript's client
// asks for (hub-protocol 2.8). Nothing changes for a file without a name in Xet.
Response offer_xet(const Request& request, const Services& services, const HotFile& file,
                   Response response);

}  // namespace holdfast::web
