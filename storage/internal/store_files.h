// The files of a data directory besides objects and catalog: FORMAT, the lock, the directories.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/file.h"
#include "storage/internal/disk.h"
#include "storage/internal/layout.h"

namespace holdfast::storage {

// The version of everything on disk: FORMAT.md, layout and rows. Raised by any change that an older
// holdfast would misread.
inline constexpr std::uint64_t kStoreVersion = 1;

// What the FORMAT file says.
struct StoreFormat {
  std::uint64_t version = kStoreVersion;
  std::string uuid;
};

std::string to_text(const StoreFormat& format);

// Throws Corrupt when it is no FORMAT file, Unsupported naming both versions when it is newer.
StoreFormat parse_store_format(std::string_view text, std::string_view name);

// 128 random bits in the usual form.
std::string make_uuid();

// Makes the data directory itself, durably.
void make_root(const Layout& layout, const Disk& disk);

// Makes what is missing of the directories below it, durably.
void make_directories(const Layout& layout, const Disk& disk);

// The value of the line "key = value" of such a file; empty when there is none.
std::string_view format_field(std::string_view text, std::string_view key);
// The same as a number; nothing when it is none.
std::optional<std::uint64_t> format_number(std::string_view text, std::string_view key);

// Writes or replaces the file as a whole, durably. With its FORMAT a directory is a store.
void write_format_file(const std::filesystem::path& path, std::string_view text, const Disk& disk);

// Keeps other processes out until the descriptor closes; Conflict when one is in.
UniqueFd lock_store(const Layout& layout);

}  // namespace holdfast::storage
