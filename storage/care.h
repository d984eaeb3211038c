// Looking after a store: whether every byte is there and right, what nothing needs any more, and
// what takes the room. Runs beside syncs, uploads and conversions. Thread-safe.
//
// Results are JSON, as jobs give them. Errors: Io, Corrupt (a damaged catalog: then nothing is
// removed), Conflict (gc would remove nearly everything), Cancelled.
#pragma once

#include "storage/base/digest.h"
#include "storage/base/json.h"
#include "storage/jobs.h"

namespace holdfast::storage {

struct FsckOptions {
  bool full = false;  // read every object and compare its SHA-256
};

struct GcOptions {
  bool dry_run = false;
  bool now = false;    // wait neither for the grace period nor for the trash's
  bool force = false;  // even if nearly everything would go
};

class Care {
 public:
  virtual ~Care() = default;

  // Catalog against files and sizes, references against objects, and the other way round. Removes
  // nothing; a damaged object is marked, so that readers get an error and the next sync of its
  // repository fetches it again, and a file with wrong bytes moves to quarantine/.
  // {full, objects, bytes, findings: [{kind, name, text}], extra_files, extra_bytes}: files that no
  // row names are what a crash leaves, and no finding.
  virtual Json::Object fsck(const FsckOptions& options, JobContext& context) = 0;

  // Condemns the objects that no reference and no unexpired lease names: from then on they count as
  // not stored. After kGcGrace they are looked at again, their rows removed and their files moved
  // to trash/, which keeps them for kTrashPeriod more.
  // {dry_run, kept, condemned, waiting, removed, freed: {objects, bytes} each}.
  virtual Json::Object gc(const GcOptions& options, JobContext& context) = 0;

  // What keeps an object: {sha256, state, size?, references: [{repo, commit, path}], leases: [{key,
  // expires}]}; state is healthy, damaged, condemned or absent.
  virtual Json::Object why(const Digest& object) const = 0;

  // {objects, bytes, unreferenced_bytes, repositories: [{repo, revisions, files, bytes,
  // own_bytes}]}: `bytes` counts each object once per repository, `own_bytes` those that no other
  // has.
  virtual Json::Object stats() const = 0;
};

}  // namespace holdfast::storage
