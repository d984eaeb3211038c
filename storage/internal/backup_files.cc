#include "storage/internal/backup_files.h"

#include <algorithm>
#include <span>
#include <vector>

#include <fcntl.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/internal/object_check.h"
#include "storage/internal/store_files.h"

namespace holdfast::storage {
namespace {

constexpr std::string_view kMagic = "holdfast backup\n";
constexpr std::uint64_t kFormatFileMax = 64 << 10;
constexpr std::size_t kCopyBytes = 1 << 20;

// Nothing says that it is not there, or that its medium does not give it.
std::optional<UniqueFd> open_source(const std::filesystem::path& path) {
  try {
    return open_file(path, O_RDONLY);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::NotFound && !is_unreadable(error)) throw;
    return std::nullopt;
  }
}

bool read_source(int fd, std::uint64_t at, std::span<std::byte> out,
                 const std::filesystem::path& path, const Disk& disk) {
  try {
    disk.read(fd, at, out, path);
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Corrupt && !is_unreadable(error)) throw;
    return false;
  }
}

// Calls `use` with the file's bytes in order; returns their SHA-256, nothing when it ends early or
// its medium does not give it all.
std::optional<Digest> for_pieces(
    int fd, const std::filesystem::path& path, const Disk& disk,
    const std::function<void(std::uint64_t at, std::span<const std::byte> piece)>& use) {
  Sha256 hasher;
  std::vector<std::byte> buffer(kCopyBytes);
  const std::uint64_t size = file_size(fd, path);
  for (std::uint64_t at = 0; at < size;) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - at));
    const std::span<std::byte> piece(buffer.data(), length);
    if (!read_source(fd, at, piece, path, disk)) return std::nullopt;
    hasher.update(piece);
    use(at, piece);
    at += length;
  }
  return hasher.finish();
}

}  // namespace

std::string to_text(const BackupFormat& format) {
  return std::string(kMagic) + "version = " + std::to_string(format.version) +
         "\nuuid = " + format.uuid + "\ncatalog = " + std::to_string(format.catalog) +
         "\nmade = " + holdfast::to_text(format.made) +
         "\nobjects = " + std::to_string(format.objects) +
         "\nbytes = " + std::to_string(format.bytes) + "\n";
}

BackupFormat parse_backup_format(std::string_view text, std::string_view name) {
  BackupFormat format;
  const auto version = format_number(text, "version");
  const bool versioned = text.starts_with(kMagic) && version;
  format.version = version.value_or(0);
  if (versioned && format.version > kBackupVersion)
    fail(ErrorKind::Unsupported, std::string(name) + ": backup version " +
                                     std::to_string(format.version) + " is newer than version " +
                                     std::to_string(kBackupVersion) +
                                     ", the newest that this holdfast knows: use a newer holdfast");
  const auto made = parse_time(format_field(text, "made"));
  format.uuid = format_field(text, "uuid");
  const auto catalog = format_number(text, "catalog"), objects = format_number(text, "objects"),
             bytes = format_number(text, "bytes");
  if (!versioned || !catalog || !objects || !bytes || !made || format.uuid.empty())
    fail(ErrorKind::Corrupt, std::string(name) + ": expected the BACKUP file of a holdfast backup");
  format.catalog = *catalog;
  format.objects = *objects;
  format.bytes = *bytes;
  format.made = *made;
  return format;
}

std::optional<BackupFormat> find_backup(const BackupLayout& layout) {
  if (!std::filesystem::exists(layout.format())) return std::nullopt;
  return parse_backup_format(read_file(layout.format(), kFormatFileMax), layout.format().string());
}

void write_backup_format(const BackupLayout& layout, const BackupFormat& format, const Disk& disk) {
  write_format_file(layout.format(), to_text(format), disk);
}

std::optional<Digest> copy_file(const std::filesystem::path& from, const std::filesystem::path& to,
                                const Disk& disk, const Piece& copied,
                                const std::optional<Digest>& expected) {
  const auto source = open_source(from);
  if (!source) return std::nullopt;
  auto temporary = to;
  temporary += ".new";
  disk.remove(temporary);
  try {
    const UniqueFd target = disk.create(temporary, 0444);
    const auto digest = for_pieces(source->get(), from, disk,
                                   [&](std::uint64_t at, std::span<const std::byte> piece) {
                                     disk.write(target.get(), at, piece, temporary);
                                     copied(piece.size());
                                   });
    if (!digest || (expected && digest != expected)) {
      disk.discard(temporary);
      return digest;
    }
    disk.sync_data(target.get(), temporary);
    if (!disk.rename(temporary, to))
      fail(ErrorKind::NotFound, temporary.string() + ": no such file");
    return digest;
  } catch (const Error&) {
    disk.discard(temporary);
    throw;
  }
}

std::optional<Digest> hash_file(const std::filesystem::path& path, const Disk& disk,
                                const Piece& read) {
  const auto source = open_source(path);
  if (!source) return std::nullopt;
  return for_pieces(source->get(), path, disk,
                    [&](std::uint64_t, std::span<const std::byte> piece) { read(piece.size()); });
}

}  // namespace holdfast::storage
