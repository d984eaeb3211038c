// Catalog over RocksDB rows. Thread-safe: reads go straight to the database; changes that read
// before they write (publish, set_refs) follow one another under a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <shared_mutex>

#include "storage/catalog.h"
#include "storage/internal/blob_rows.h"
#include "storage/internal/database.h"
#include "storage/internal/leases.h"

namespace holdfast::storage {

// Borrowed; outlives the catalog.
struct CatalogParts {
  Database& database;
  Leases& leases;
  Numbers& numbers;
  const BlobStore& blobs;
  const Clock& clock;
  std::atomic<std::uint64_t>& generation;  // Store::generation()
  std::shared_mutex& gate;                 // see BlobStoreParts
};

std::unique_ptr<Catalog> make_local_catalog(const CatalogParts& parts);

}  // namespace holdfast::storage
