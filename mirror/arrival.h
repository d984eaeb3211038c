// Reading along while a revision is downloaded: what sync() tells whoever serves files before they
// are complete, and what it asks in return. Thread-safe: called by the sync's own thread and by the
// download's threads, several at once. Must not throw.
//
// A file is named by its git blob, which is one for all paths with the same content.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "mirror/history.h"
#include "storage/blob_store.h"
#include "storage/catalog.h"

namespace holdfast::mirror {

// Stands for the content of a file until its SHA-256 is known. No object has it.
Digest stand_in(const GitOid& blob);

// A revision before its bytes: everything that publish() will make visible, as far as the listing
// tells. Selected files without a known SHA-256 have their stand_in() for an object.
struct ArrivingListing {
  storage::RepositoryRecord repository;
  storage::RevisionRecord revision;
  std::vector<storage::FileRecord> files;  // the whole tree, by path
  std::vector<storage::Ref> refs;          // to set
  History history;
};

class ArrivalWatch {
 public:
  virtual ~ArrivalWatch() = default;

  virtual void listed(ArrivingListing listing) = 0;

  // The file's bytes are written where `bytes` reads them. Called again when it starts anew.
  virtual void staged(const GitOid& blob, std::shared_ptr<const storage::BlobReader> bytes) = 0;
  // More of a staged file came.
  virtual void advanced() noexcept = 0;
  // What was staged of it is no good.
  virtual void spoiled(const GitOid& blob) = 0;
  // Verified; `object` has the bytes that were staged last.
  virtual void stored(const GitOid& blob, const Digest& object) = 0;

  // What somebody waits for, the most urgent first: a file, and the first byte that is missing.
  struct Wanted {
    GitOid blob;
    std::uint64_t offset = 0;
  };

  virtual std::vector<Wanted> wanted() = 0;
};

}  // namespace holdfast::mirror
