// A pack as it arrives from another git: libgit2 checks every id, resolves deltas and indexes it in
// a directory of its own, which goes away with the object.
//
// Errors: Corrupt (damaged, an object whose id is wrong, a delta without its base), LimitExceeded
// (also as pack_scan.h says, before a delta is resolved), NoSpace, Io. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "storage/git/objects.h"

namespace holdfast::storage::git {

class PackReader {
 public:
  // Accepts a pack of at most `bytes_max`, and keeps it in a folder of its own below `parent`
  // (storage/spool.h).
  PackReader(std::uint64_t bytes_max, const std::filesystem::path& parent);
  PackReader(const PackReader&) = delete;
  PackReader& operator=(const PackReader&) = delete;
  ~PackReader();

  void add(std::span<const std::byte> bytes);
  // All bytes came. Reading starts here.
  void finish();

  std::vector<GitOid> objects() const;
  // Nothing when the pack does not hold it, or it is a blob larger than `size_max_bytes`;
  // LimitExceeded for anything else as large.
  std::optional<Object> read(const GitOid& oid, std::uint64_t size_max_bytes) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::storage::git
