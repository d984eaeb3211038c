// A store, its backup, and what is restored from it.
#pragma once

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>

#include "storage/backup.h"
#include "storage/base/error.h"
#include "tests/storage/care_fixture.h"

namespace holdfast::tests {

inline std::uint64_t number(const Json::Object& result, std::string_view key) {
  return result.find(key)->as_uint(key);
}

inline std::size_t files_below(const fs::path& directory) {
  return static_cast<std::size_t>(
      std::ranges::count_if(fs::recursive_directory_iterator(directory),
                            [](const auto& entry) { return entry.is_regular_file(); }));
}

// A disk that cannot read the files whose name starts like this.
class BadSector final : public Disk {
 public:
  explicit BadSector(std::string name) : name_(std::move(name)) {}

  void read(int fd, std::uint64_t offset, std::span<std::byte> out,
            const fs::path& path) const override {
    if (path.filename().string().starts_with(name_)) fail_errno("read", path.string(), EIO);
    Disk::read(fd, offset, out, path);
  }

 private:
  std::string name_;
};

struct BackupFixture : CareFixture {
  fs::path directory = extra.path() / "backup", target = extra.path() / "store";

  Json::Object backup(bool copy = false) {
    return store->care().backup({.directory = directory, .copy = copy}, context);
  }

  Json::Object restore(bool force = false) {
    return storage::restore(
        {.backup = directory, .directory = target, .force = force, .clock = &clock}, context);
  }

  std::unique_ptr<Store> restored() {
    return Store::open({.directory = target, .create = false, .clock = &clock});
  }

  // The file of an object below any directory.
  static fs::path find_object(const fs::path& below, const Digest& digest) {
    for (const auto& entry : fs::recursive_directory_iterator(below))
      if (entry.path().filename().string().starts_with(to_hex(digest))) return entry.path();
    return {};
  }
};

}  // namespace holdfast::tests
