// An opened data directory: objects, catalog and jobs of one process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "storage/access.h"
#include "storage/base/clock.h"
#include "storage/blob_store.h"
#include "storage/care.h"
#include "storage/catalog.h"
#include "storage/jobs.h"

namespace holdfast::storage {

namespace xet {
class Index;
}

struct StoreOptions {
  std::filesystem::path directory;
  bool create = true;                    // make a fresh store where there is none
  const Clock* clock = &system_clock();  // borrowed; outlives the store
};

// Owns everything below the data directory. One process at a time: a second opener gets
// Error(Conflict) naming the directory. An older binary refuses a newer schema with
// Error(Unsupported) that names both versions. Opening needs no repair by hand after any crash:
// it drops expired leases with their staging files and re-queues interrupted jobs.
class Store {
 public:
  static std::unique_ptr<Store> open(const StoreOptions& options);

  virtual ~Store() = default;
  virtual BlobStore& blobs() = 0;
  virtual Catalog& catalog() = 0;
  virtual JobQueue& jobs() = 0;
  // Unsupported where a store is only looked at.
  virtual Care& care();

  // nullptr where a store keeps none; owned by the store.
  virtual AccessBook* access() noexcept { return nullptr; }

  // xet/index.h; nullptr where a store keeps none; owned by the store.
  virtual xet::Index* xet_index() noexcept { return nullptr; }

  virtual const std::filesystem::path& directory() const = 0;

  // Tries whether anything can be stored now: a file can be made, and the catalog takes changes.
  // Throws as a write would, and NoSpace where less than kFreeMargin is left. Nothing is tried
  // where a store is only looked at.
  virtual void check_writable() {}

  // Grows after every change that makes something untrue which a reader may remember of
  // repositories, revisions, refs, files or objects: a publication, a moved ref, an object found
  // damaged, an index of Xet that was made. Whoever reads it before a look-up may believe what he
  // found for as long as the number stands still. Thread-safe and as cheap as reading a variable.
  virtual std::uint64_t generation() const noexcept = 0;
};

}  // namespace holdfast::storage
