// What our users of libgit2 share. For storage/git's own sources.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <git2.h>

#include "storage/base/digest.h"
#include "storage/base/error.h"
#include "storage/git/objects.h"

namespace holdfast::storage::git {

// The library is up while one of these lives.
struct Libgit2 {
  Libgit2() { git_libgit2_init(); }

  Libgit2(const Libgit2&) = delete;
  Libgit2& operator=(const Libgit2&) = delete;

  ~Libgit2() { git_libgit2_shutdown(); }
};

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

// Throws `kind` with libgit2's own words when a call failed.
inline void check_libgit2(int result, ErrorKind kind, std::string_view what) {
  if (result >= 0) return;
  const git_error* error = git_error_last();
  fail(kind, std::string(what) + ": " + (error != nullptr ? error->message : "unknown error"));
}

inline git_oid to_libgit2(const GitOid& oid) noexcept {
  git_oid out;
  std::memcpy(out.id, oid.bytes.data(), oid.bytes.size());
  return out;
}

inline GitOid from_libgit2(const git_oid& oid) noexcept {
  GitOid out;
  std::memcpy(out.bytes.data(), oid.id, out.bytes.size());
  return out;
}

// Nothing for kinds that are not whole objects.
inline std::optional<ObjectType> type_of(git_object_t type) noexcept {
  switch (type) {
    case GIT_OBJECT_COMMIT:
      return ObjectType::Commit;
    case GIT_OBJECT_TREE:
      return ObjectType::Tree;
    case GIT_OBJECT_BLOB:
      return ObjectType::Blob;
    case GIT_OBJECT_TAG:
      return ObjectType::Tag;
    default:
      return std::nullopt;
  }
}

// Nothing when the database has no such object, or it is a blob larger than `size_max_bytes`;
// LimitExceeded for anything else as large.
inline std::optional<Object> read_object(git_odb* database, const GitOid& oid,
                                         std::uint64_t size_max_bytes) {
  const git_oid id = to_libgit2(oid);
  std::size_t size_bytes = 0;
  git_object_t raw_type = GIT_OBJECT_INVALID;
  const int known = git_odb_read_header(&size_bytes, &raw_type, database, &id);
  if (known == GIT_ENOTFOUND) return std::nullopt;
  check_libgit2(known, ErrorKind::Corrupt, "git object " + to_hex(oid));
  if (size_bytes > size_max_bytes && raw_type == GIT_OBJECT_BLOB) return std::nullopt;
  if (size_bytes > size_max_bytes) {
    fail(ErrorKind::LimitExceeded, "git object " + to_hex(oid) + ": " + std::to_string(size_bytes) +
                                       " bytes, expected at most " +
                                       std::to_string(size_max_bytes));
  }
  git_odb_object* raw = nullptr;
  check_libgit2(git_odb_read(&raw, database, &id), ErrorKind::Corrupt, "git object " + to_hex(oid));
  const std::unique_ptr<git_odb_object, Freed<git_odb_object_free>> object(raw);
  const auto type = type_of(git_odb_object_type(raw));
  if (!type) fail(ErrorKind::Corrupt, "git object " + to_hex(oid) + ": of an unknown type");
  return Object{.type = *type,
                .bytes = std::string(static_cast<const char*>(git_odb_object_data(raw)),
                                     git_odb_object_size(raw))};
}

}  // namespace holdfast::storage::git
