#include "storage/internal/backup_files.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <vector>

#include <fcntl.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/internal/store_files.h"

namespace holdfast::storage {
namespace {

constexpr std::string_view kMagic = "holdfast backup\n";
constexpr std::uint64_t kFormatFileMax = 64 << 10;
constexpr std::size_t kCopyBytes = 1 << 20;
constexpr std::size_t kDigestDigits = 64;

bool parse_number(std::string_view text, std::uint64_t& value) noexcept {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

// Calls `use` with the file's bytes in order; returns their SHA-256.
Digest for_pieces(
    const std::filesystem::path& path,
    const std::function<void(std::uint64_t at, std::span<const std::byte> piece)>& use) {
  const UniqueFd file = open_file(path, O_RDONLY);
  Sha256 hasher;
  std::vector<std::byte> buffer(kCopyBytes);
  const std::uint64_t size = file_size(file.get(), path);
  for (std::uint64_t at = 0; at < size;) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - at));
    const std::span<std::byte> piece(buffer.data(), length);
    read_at(file.get(), at, piece, path);
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
  const auto number = [text](std::string_view key, std::uint64_t& value) {
    return parse_number(format_field(text, key), value);
  };
  const bool versioned = text.starts_with(kMagic) && number("version", format.version);
  if (versioned && format.version > kBackupVersion)
    fail(ErrorKind::Unsupported, std::string(name) + ": backup version " +
                                     std::to_string(format.version) + " is newer than version " +
                                     std::to_string(kBackupVersion) +
                                     ", the newest that this holdfast knows: use a newer holdfast");
  const auto made = parse_time(format_field(text, "made"));
  format.uuid = format_field(text, "uuid");
  if (!versioned || !number("catalog", format.catalog) || !number("objects", format.objects) ||
      !number("bytes", format.bytes) || !made || format.uuid.empty())
    fail(ErrorKind::Corrupt, std::string(name) + ": expected the BACKUP file of a holdfast backup");
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

Digest copy_file(const std::filesystem::path& from, const std::filesystem::path& to,
                 const Disk& disk, const std::function<void(std::uint64_t bytes)>& copied) {
  auto temporary = to;
  temporary += ".new";
  disk.remove(temporary);
  const UniqueFd target = disk.create(temporary, 0444);
  const Digest digest = for_pieces(from, [&](std::uint64_t at, std::span<const std::byte> piece) {
    disk.write(target.get(), at, piece, temporary);
    if (copied) copied(piece.size());
  });
  disk.sync_data(target.get(), temporary);
  if (!disk.rename(temporary, to)) fail(ErrorKind::NotFound, temporary.string() + ": no such file");
  return digest;
}

Digest hash_file(const std::filesystem::path& path,
                 const std::function<void(std::uint64_t bytes)>& read) {
  return for_pieces(path, [&](std::uint64_t, std::span<const std::byte> piece) {
    if (read) read(piece.size());
  });
}

std::optional<ObjectName> parse_object_name(std::string_view name) noexcept {
  if (name.size() < kDigestDigits + 2 || name[kDigestDigits] != '.') return std::nullopt;
  const auto digest = parse_digest(name.substr(0, kDigestDigits));
  ObjectName object;
  if (!digest || !parse_number(name.substr(kDigestDigits + 1), object.generation))
    return std::nullopt;
  object.digest = *digest;
  return object;
}

}  // namespace holdfast::storage
