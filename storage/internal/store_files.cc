#include "storage/internal/store_files.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <random>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/base/error.h"

namespace holdfast::storage {
namespace {

constexpr std::string_view kMagic = "holdfast store\n";
constexpr int kFanOut = 256;

}  // namespace

std::string_view format_field(std::string_view text, std::string_view key) {
  const std::string start = "\n" + std::string(key) + " = ";
  const std::size_t at = text.find(start);
  if (at == text.npos) return {};
  text.remove_prefix(at + start.size());
  return text.substr(0, text.find('\n'));
}

std::optional<std::uint64_t> format_number(std::string_view text, std::string_view key) {
  const std::string_view field = format_field(text, key);
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(field.data(), field.data() + field.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != field.data() + field.size()) return std::nullopt;
  return number;
}

std::string to_text(const StoreFormat& format) {
  return std::string(kMagic) + "version = " + std::to_string(format.version) +
         "\nuuid = " + format.uuid + "\ncodecs = raw\n";
}

StoreFormat parse_store_format(std::string_view text, std::string_view name) {
  StoreFormat format;
  format.version = format_number(text, "version").value_or(0);
  format.uuid = format_field(text, "uuid");
  if (!text.starts_with(kMagic) || format.version == 0)
    fail(ErrorKind::Corrupt, std::string(name) + ": expected the FORMAT file of a holdfast store");
  if (format.version > kStoreVersion)
    fail(ErrorKind::Unsupported, std::string(name) + ": store version " +
                                     std::to_string(format.version) + " is newer than version " +
                                     std::to_string(kStoreVersion) +
                                     ", the newest that this holdfast knows: use a newer holdfast");
  return format;
}

std::string make_uuid() {
  std::random_device random;
  std::array<unsigned, 4> words{};
  for (unsigned& word : words) word = random();
  words[1] = (words[1] & 0xFFFF0FFFU) | 0x4000U;  // version 4: random (RFC 9562)
  words[2] = (words[2] & 0x3FFFFFFFU) | 0x80000000U;
  std::array<char, 37> text{};
  std::snprintf(text.data(), text.size(), "%08x-%04x-%04x-%04x-%04x%08x", words[0], words[1] >> 16,
                words[1] & 0xFFFF, words[2] >> 16, words[2] & 0xFFFF, words[3]);
  return text.data();
}

void make_root(const Layout& layout, const Disk& disk) {
  const auto parent = std::filesystem::absolute(layout.root / "..").lexically_normal();
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  if (error) fail_errno("create directory", parent.string(), error.value());
  if (disk.make_directory(layout.root)) disk.sync_directory(parent);
}

void make_directories(const Layout& layout, const Disk& disk) {
  bool changed = false;
  for (const auto& directory :
       {layout.blobs(), layout.staging(), layout.quarantine(), layout.trash(), layout.catalog()})
    changed |= disk.make_directory(directory);
  if (changed) disk.sync_directory(layout.root);
  bool fanned = false;
  for (int i = 0; i < kFanOut; ++i) {
    std::array<char, 3> name{};
    std::snprintf(name.data(), name.size(), "%02x", static_cast<unsigned>(i));
    fanned |= disk.make_directory(layout.blobs() / name.data());
  }
  if (fanned) disk.sync_directory(layout.blobs());
}

void write_format_file(const std::filesystem::path& path, std::string_view text, const Disk& disk) {
  auto temporary = path;
  temporary += ".new";
  disk.remove(temporary);
  {
    const UniqueFd fd = disk.create(temporary, 0444);
    disk.write(fd.get(), 0, as_bytes(text), temporary);
    disk.sync_data(fd.get(), temporary);
  }
  if (!disk.rename(temporary, path))
    fail(ErrorKind::NotFound, temporary.string() + ": no such file");
  disk.sync_directory(path.parent_path());
}

UniqueFd lock_store(const Layout& layout) {
  UniqueFd fd = open_file(layout.lock(), O_RDWR | O_CREAT, 0644);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) fail_errno("lock", layout.lock().string(), errno);
    fail(ErrorKind::Conflict, layout.root.string() + ": another process has this store open (pid " +
                                  read_file(layout.lock(), 64) + ")");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd.get(), 0) != 0) fail_errno("truncate", layout.lock().string(), errno);
  write_at(fd.get(), 0, std::as_bytes(std::span(pid)), layout.lock());
  return fd;
}

}  // namespace holdfast::storage
