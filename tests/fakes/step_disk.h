// A disk on which every change is a step: any of them can be made to fail, or to be the moment at
// which the process dies, plainly or by a power cut that loses what was not synced. The catalog's
// files are part of it; the making of directories, hundreds in a fresh store, is no step, but is
// lost by a power cut too. Thread-safe.
#pragma once

#include <memory>

#include "storage/internal/disk.h"

namespace holdfast::tests {

enum class Fault {
  Kill,        // SIGKILL before the step: what was written stays
  PowerCut,    // the same, and unsynced bytes and names are gone
  Io,          // EIO, this step alone
  ShortWrite,  // half of what was to be written, then ENOSPC; this step alone
  NoSpace,     // ENOSPC for every write from this step on; new names are still to be had
  ReadOnly,    // EROFS from this step on
};

class StepDisk final : public storage::Disk {
 public:
  StepDisk();
  ~StepDisk() override;

  // The `step`-th change from now on (1 is the next) meets the fault.
  void arm(Fault fault, int step);
  // Whether that step came.
  bool struck() const;
  // All is well again.
  void heal();

  void sync_data(int fd, const std::filesystem::path& path) const override;
  void sync_directory(const std::filesystem::path& directory) const override;
  void preallocate(int fd, std::uint64_t size_bytes,
                   const std::filesystem::path& path) const override;
  UniqueFd create(const std::filesystem::path& path, unsigned mode) const override;
  void write(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
             const std::filesystem::path& path) const override;
  bool rename(const std::filesystem::path& from, const std::filesystem::path& to) const override;
  bool link(const std::filesystem::path& from, const std::filesystem::path& to) const override;
  void remove(const std::filesystem::path& path) const override;
  bool make_directory(const std::filesystem::path& path) const override;
  rocksdb::Env* catalog_env() const noexcept override;

 private:
  struct Catalog;  // the catalog's file system and its environment
  std::shared_ptr<class Steps> steps_;
  std::unique_ptr<Catalog> catalog_;
};

}  // namespace holdfast::tests
