// What a revision shows of itself: its stored files, and the directories above them with the ids of
// their git trees. Files outside the mirrored selection are not listed, so that a client which
// downloads everything it saw succeeds. Reads the catalog; throws what the catalog throws.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/catalog.h"
#include "web/internal/answers.h"

namespace holdfast::web {

struct Entry {
  bool directory = false;
  std::string path;
  GitOid oid;                // git's tree or blob
  storage::FileRecord file;  // of a file
};

enum class Depth { Children, Everything };

// Entries below `directory` ("" = root), sorted by path. Empty when nothing stored lies there.
std::vector<Entry> list_entries(const storage::Catalog& catalog, const RevisionAt& at,
                                std::string_view directory, Depth depth);

// The stored files of a revision, sorted by path.
std::vector<storage::FileRecord> stored_files(const storage::Catalog& catalog,
                                              const RevisionAt& at);

// The id of a directory's git tree; all zeros when its object is not held.
GitOid tree_oid(const storage::Catalog& catalog, const GitOid& root, std::string_view directory);

}  // namespace holdfast::web
