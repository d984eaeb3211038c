// The encoding of the catalog's records as rows (storage/FORMAT.md). Pure functions; a damaged row
// is Error(Corrupt).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/catalog.h"

namespace holdfast::storage {

std::string encode_repository(const RepositoryRecord& record);
RepositoryRecord decode_repository(std::string_view row);

std::string encode_revision(const RevisionRecord& record);
RevisionRecord decode_revision(std::string_view row);

// The path stands in the row's key.
std::string encode_file(const FileRecord& record);
FileRecord decode_file(std::string_view path, std::string_view row);

std::string encode_oid(const GitOid& commit);
GitOid decode_oid(std::string_view row);

// A git object lies in its row, or is a blob whose bytes are those of a stored object.
struct GitRow {
  std::optional<GitObjectRecord> object;
  std::optional<Digest> same_bytes;
};

std::string encode_git(const GitObjectRecord& record);
std::string encode_git_alias(const Digest& object);
GitRow decode_git(std::string_view row);

// Reason and time; repository, commit and path stand in the key.
std::string encode_hole(const Hole& hole);
Hole decode_hole(std::string_view key, std::string_view row);

}  // namespace holdfast::storage
