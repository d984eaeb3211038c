// BlobStore over a directory of whole-object files and the catalog's rows. Thread-safe.
//
// Commit order, always: staged bytes synced → renamed to their final name → directory synced → one
// synced batch {blob row, lease} → acknowledged. A crash leaves an extra file, never a missing one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"
#include "storage/blob_store.h"
#include "storage/internal/blob_rows.h"
#include "storage/internal/claims.h"
#include "storage/internal/database.h"
#include "storage/internal/disk.h"
#include "storage/internal/layout.h"
#include "storage/internal/leases.h"
#include "storage/internal/readers.h"

namespace holdfast::storage {

// What the store is made of; borrowed, and outlives it.
struct BlobStoreParts {
  Database& database;
  Leases& leases;
  Numbers& numbers;
  const Disk& disk;
  const Clock& clock;
  Layout layout;
  std::atomic<std::uint64_t>& generation;  // Store::generation()
  // Shared by what looks whether an object is stored and then counts on it, until its rows are
  // written; exclusive for gc, between its look at what needs an object and its rows.
  std::shared_mutex& gate;
};

class LocalBlobStore final : public BlobStore {
 public:
  explicit LocalBlobStore(BlobStoreParts parts);

  std::optional<std::uint64_t> find(const Digest& digest) const override;
  std::unique_ptr<BlobReader> open(const Digest& digest) const override;

  bool is_leased(std::string_view key_prefix, const Digest& digest) const override {
    return parts_.leases.keep(key_prefix, digest);
  }

  std::unique_ptr<BlobWriter> create(const WriteIntent& intent) override;
  Digest put(std::span<const std::byte> bytes) override;
  std::vector<Digest> put_all(std::span<const std::span<const std::byte>> objects) override;

  // Drops expired leases with their staged files, and staged files that no lease names. Called at
  // open, when no writer lives.
  void drop_expired();
  // The same at any time, but for what a writer holds that lives.
  void drop_abandoned();

  // For the writers.
  const BlobStoreParts& parts() const noexcept { return parts_; }

  // For fsck: as open, but the file is looked up again even when it is open.
  std::unique_ptr<BlobReader> open_anew(const Digest& digest) const;

  // For fsck: the file of `row` has wrong bytes. Marks the object damaged, moves the file to
  // quarantine/ and throws Corrupt with `finding`.
  [[noreturn]] void quarantine(const Digest& digest, const BlobRow& row,
                               const std::string& finding) const;

  // Closes the file of an object that goes away, as far as it is only kept for later readers.
  void forget(const FileName& name) const { open_files_.forget(name); }

  // True when a row counts on this file of blobs/, gc's rows included. Waits for who is committing
  // the object; the second form is for who holds the gate alone, where nobody is.
  bool is_named(const FileName& name) const;
  bool has_row(const FileName& name) const;

  void save_lease(const Lease& lease);
  void drop_lease(const Lease& lease) noexcept;
  // Makes a staged, synced and verified file the object `digest`, or drops it when a healthy copy
  // is there; either way the lease keeps the object alive on return.
  void adopt_staged(Lease lease, const Digest& digest);
  // The same for bytes that go to the catalog.
  void adopt_small(Lease lease, const Digest& digest, std::span<const std::byte> bytes);

 private:
  enum class Files { Kept, Anew };  // whether a file that is open already will do

  std::unique_ptr<BlobReader> open_object(const Digest& digest, Files files) const;
  std::unique_ptr<BlobReader> open_file(const Digest& digest, const BlobRow& row,
                                        Files files) const;
  [[noreturn]] void fail_damaged(const Digest& digest, const BlobRow& row,
                                 const std::string& finding) const;
  bool is_stored(const Digest& digest) const;
  void put_large(const Digest& digest, std::span<const std::byte> bytes);
  void place_blob(const std::filesystem::path& from, const Digest& digest,
                  std::uint64_t generation);
  void put_small_rows(Batch& batch, const Digest& digest, std::span<const std::byte> bytes);
  std::unique_ptr<BlobWriter> create_claimed(const WriteIntent& intent,
                                             Claims<std::string>::Claim claim);
  std::unique_ptr<BlobWriter> create_staged(const WriteIntent& intent, Lease lease,
                                            Claims<std::string>::Claim claim);
  void drop_spent(std::span<const std::string> keys);
  void finish_interrupted_renames();
  void remove_unnamed_staging();

  BlobStoreParts parts_;
  mutable OpenFiles open_files_;
  mutable Claims<Digest> committing_;
  Claims<std::string> writing_;
};

}  // namespace holdfast::storage
