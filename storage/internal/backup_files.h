// The layout of a backup directory (storage/FORMAT.md), and copies of files. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/base/digest.h"
#include "storage/internal/disk.h"
#include "storage/internal/layout.h"

namespace holdfast::storage {

inline constexpr std::uint64_t kBackupVersion = 1;

// What the BACKUP file says: which copy of the catalog counts.
struct BackupFormat {
  std::uint64_t version = kBackupVersion;
  std::string uuid;           // of the store
  std::uint64_t catalog = 0;  // catalog-N; 0 before the first backup is complete
  Time made;
  std::uint64_t objects = 0, bytes = 0;
};

std::string to_text(const BackupFormat& format);

// Throws Corrupt when it is no BACKUP file, Unsupported naming both versions when it is newer.
BackupFormat parse_backup_format(std::string_view text, std::string_view name);

struct BackupLayout {
  std::filesystem::path root;

  std::filesystem::path format() const { return root / "BACKUP"; }

  std::filesystem::path catalog(std::uint64_t number) const {
    return root / ("catalog-" + std::to_string(number));
  }

  // Objects lie as in a store.
  Layout objects() const { return {.root = root}; }
};

// Nothing when `root` is no backup. Errors as parse_backup_format.
std::optional<BackupFormat> find_backup(const BackupLayout& layout);
void write_backup_format(const BackupLayout& layout, const BackupFormat& format, const Disk& disk);

// Called with the bytes of each piece that was read; may throw.
using Piece = std::function<void(std::uint64_t bytes)>;

// Copies a file, synced, under its last name only once it is complete and has the SHA-256
// `expected`, where that is given; whatever happens, nothing else is left behind. A file that has
// the name already is replaced. The directory is the caller's to sync. Returns the SHA-256 of what
// was read; nothing where the source is not there, ends early, or its medium does not give it.
std::optional<Digest> copy_file(const std::filesystem::path& from, const std::filesystem::path& to,
                                const Disk& disk, const Piece& copied,
                                const std::optional<Digest>& expected = std::nullopt);

// The SHA-256 of a file; nothing where it cannot be had, as above.
std::optional<Digest> hash_file(const std::filesystem::path& path, const Disk& disk,
                                const Piece& read);

}  // namespace holdfast::storage
