// The slow cycle that reads every object: its cursor and its counts, kept in the catalog.
#pragma once

#include <mutex>
#include <optional>

#include "storage/base/sync.h"
#include "storage/care.h"
#include "storage/internal/local_blob_store.h"

namespace holdfast::storage {

// Borrows the store, which outlives it. Thread-safe; one run at a time.
class Scrub {
 public:
  explicit Scrub(LocalBlobStore& blobs);

  // As Care::scrub; Conflict while another thread is at it.
  Json::Object run(const ScrubOptions& options, JobContext& context);

  ScrubStatus status() const { return *status_.lock(); }

 private:
  void begin_cycle();
  void check(const Digest& digest, const ScrubOptions& options, JobContext& context);
  void save(bool complete);

  LocalBlobStore& blobs_;
  std::mutex running_;            // held through a run
  std::optional<Digest> cursor_;  // the last object that was read; by the running thread only
  mutable Sync<ScrubStatus> status_{};
};

}  // namespace holdfast::storage
