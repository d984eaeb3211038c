// Where things lie below the data directory (storage/FORMAT.md). Plain value.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "storage/base/digest.h"

namespace holdfast::storage {

struct Layout {
  std::filesystem::path root;

  std::filesystem::path format() const { return root / "FORMAT"; }

  std::filesystem::path lock() const { return root / "LOCK"; }

  std::filesystem::path catalog() const { return root / "catalog"; }

  std::filesystem::path blobs() const { return root / "blobs"; }

  std::filesystem::path staging() const { return root / "staging"; }

  std::filesystem::path quarantine() const { return root / "quarantine"; }

  std::filesystem::path trash() const { return root / "trash"; }

  // What web/ derives from the catalog.
  std::filesystem::path search() const { return root / "search"; }

  // Where a restore builds, its marker while it moves what it built into place, and where the store
  // before goes.
  std::filesystem::path restoring() const { return root / "restoring"; }

  std::filesystem::path restore_marker() const { return root / "RESTORE"; }

  std::filesystem::path replaced(std::uint64_t number) const {
    return root / ("replaced-" + std::to_string(number));
  }

  std::filesystem::path staged(std::uint64_t id) const { return staging() / std::to_string(id); }

  static std::string blob_name(const Digest& digest, std::uint64_t generation) {
    return to_hex(digest) + "." + std::to_string(generation);
  }

  std::filesystem::path blob_directory(const Digest& digest) const {
    return blobs() / to_hex(digest).substr(0, 2);
  }

  std::filesystem::path blob(const Digest& digest, std::uint64_t generation) const {
    return blob_directory(digest) / blob_name(digest, generation);
  }
};

}  // namespace holdfast::storage
