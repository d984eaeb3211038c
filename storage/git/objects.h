// Git objects byte for byte: encode, decode, and the snapshot that we make when a source has no git
// history of its own. Formats: git's own documentation of object storage ("commit", "tree" and
// "blob" objects, gitformat-*). Pure functions; errors are Error(Corrupt) naming the object's id.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/digest.h"
#include "storage/catalog.h"

namespace holdfast::storage::git {

enum class ObjectType { Commit, Tree, Blob, Tag };

std::string_view to_text(ObjectType type) noexcept;

struct Object {
  ObjectType type = ObjectType::Blob;
  std::string bytes;  // without the "type size\0" header
};

struct TreeEntry {
  std::uint32_t mode =
      0100644;  // 040000 directory, 0100644/0100755 file, 0120000 link, 0160000 module
  std::string name;
  GitOid oid;
};

std::vector<TreeEntry> parse_tree(std::string_view bytes);
std::string encode_tree(std::vector<TreeEntry> entries);  // sorts as git does

struct Commit {
  GitOid tree;
  std::vector<GitOid> parents;
  std::string author, committer;  // "Name <email>"
  Time author_time, committer_time;
  std::string message;
};

Commit parse_commit(std::string_view bytes);
std::string encode_commit(const Commit& commit);  // times in UTC, whole seconds

// The git-lfs pointer of an object (git-lfs docs/spec.md, version 1): what the blob of an LFS file
// holds.
std::string lfs_pointer(const Digest& object, std::uint64_t size_bytes);

struct LfsPointer {
  Digest object;
  std::uint64_t size_bytes = 0;
};

// Nothing when the text is no pointer.
std::optional<LfsPointer> parse_lfs_pointer(std::string_view text) noexcept;

// Trees of a flat listing and a commit over them.
struct Snapshot {
  GitOid commit;
  GitOid tree;
  std::vector<std::pair<GitOid, Object>> objects;  // commit, trees and LFS pointer blobs
};

struct SnapshotInfo {
  std::vector<GitOid> parents;
  Time time;
  std::string message;
  std::string author = {};  // "Name <email>"; "": "Holdfast <holdfast@localhost>"
};

// Deterministic: the same commit for the same author and time, `files` in any order.
Snapshot make_snapshot(std::span<const FileRecord> files, const SnapshotInfo& info);

}  // namespace holdfast::storage::git
