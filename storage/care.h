// Looking after a store: whether every byte is there and right, what nothing needs any more, what
// takes the room, and a second copy of it all. Runs beside syncs, uploads and conversions.
// Thread-safe; gc and backup wait for each other.
//
// Results are JSON, as jobs give them. Errors: Io, Corrupt (a damaged catalog: then nothing is
// removed), Conflict (gc would remove nearly everything, or may not trust the catalog; a backup
// would go among other files), Cancelled.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <utility>

#include "storage/base/clock.h"
#include "storage/base/digest.h"
#include "storage/base/json.h"
#include "storage/jobs.h"
#include "storage/repo_id.h"

namespace holdfast::storage {

struct FsckOptions {
  bool full = false;    // read every object and compare its SHA-256
  bool repair = false;  // mend what can be mended here, and say what has to be fetched again
};

struct GcOptions {
  bool dry_run = false;
  bool now = false;    // wait neither for the grace period nor for the trash's
  bool force = false;  // even if nearly everything would go
};

struct BackupOptions {
  std::filesystem::path directory;
  bool copy = false;  // never link: the backup shares no disk block with the store
};

struct ScrubOptions {
  // Called after each piece that was read, with its bytes: the place to wait.
  std::function<void(std::uint64_t bytes)> pace;
  // Called with each finding, as in fsck's `findings`, once its object is out of the readers' way.
  std::function<void(const Json::Object& finding)> found;
};

// How far scrubbing is. Counts are those of the process, but for the cycle's own.
struct ScrubStatus {
  Time cycle_started;    // the epoch when there never was one
  Time cycle_completed;  // the last complete one; the epoch when there is none
  std::uint64_t cycle_objects = 0, cycle_bytes = 0, cycle_findings = 0;
  std::uint64_t objects = 0, bytes = 0, findings = 0;
};

// What the store holds, each object once: in files of its own, or, small ones, in the catalog.
struct StoreTotals {
  std::uint64_t files = 0, file_bytes = 0;
  std::uint64_t small = 0, small_bytes = 0;
};

class Care {
 public:
  virtual ~Care() = default;

  // Catalog against files and sizes, references against objects, and the other way round. Removes
  // nothing; a damaged object is marked, so that readers get an error and the next sync of its
  // repository fetches it again, and a file with wrong bytes moves to quarantine/.
  // {full, objects, bytes, findings: [{kind, name, text}], extra_files, extra_bytes}: files that no
  // row names are what a crash or a failed write leaves, and no finding; gc takes them away. With
  // `repair` also what plan_repair() says of the findings, and `mended`: how many rows were put
  // right on the spot. Where the catalog itself has a block that cannot be read (`full` looks for
  // it, others when they run into it) the finding `damaged_catalog` names its file and what to do,
  // nothing is mended, and gc does not run.
  virtual Json::Object fsck(const FsckOptions& options, JobContext& context) = 0;

  // Condemns the objects that no reference and no unexpired lease names: from then on they count as
  // not stored; and the files that no row names. After kGcGrace they are looked at again, their
  // rows removed and their files moved to trash/, which keeps them for kTrashPeriod more.
  // {dry_run, kept, condemned, waiting, removed, freed: {objects, bytes} each}.
  virtual Json::Object gc(const GcOptions& options, JobContext& context) = 0;

  // What a sync has to fetch again to bring these objects, and the git objects of these revisions,
  // back: {repairs: [{repo, commit, endpoint, include, exclude, objects}], hopeless: [{name,
  // text}]}. An object is asked of one repository that names it and has an upstream; one that no
  // such repository names is hopeless. Reads only.
  struct Broken {
    std::span<const Digest> objects;
    std::span<const std::pair<RepoId, GitOid>> revisions;
  };

  virtual Json::Object plan_repair(const Broken& broken) const = 0;

  // Reads every object and compares its SHA-256, as fsck's full check does, at the caller's pace:
  // goes on where the last call stopped, even in another process, and returns at the end of the
  // cycle. Cancelled when `context` asks to stop.
  // {objects, bytes, findings} of the whole cycle, as numbers.
  virtual Json::Object scrub(const ScrubOptions& options, JobContext& context) = 0;
  virtual ScrubStatus scrub_status() const = 0;

  // Makes the directory a copy of the store as it stands now: its catalog, and every object that
  // the catalog names. Made beforehand, it gets only what it lacks, and what the store no longer
  // has goes from it last of all. Until then, and after a crash, it holds the copy made before.
  // {directory, objects, bytes, new_objects, new_bytes, linked, findings: [{kind, name, text}]}:
  // objects that are damaged here are findings, and not part of the copy.
  virtual Json::Object backup(const BackupOptions& options, JobContext& context) = 0;

  // What keeps an object: {sha256, state, size?, references: [{repo, commit, path}], leases: [{key,
  // expires}]}; state is healthy, damaged, condemned or absent.
  virtual Json::Object why(const Digest& object) const = 0;

  // {objects, bytes, unreferenced_bytes, damaged, scrub: {started, completed, objects, bytes,
  // findings}, repositories: [{repo, revisions, files, bytes, own_bytes}]}: `bytes` counts each
  // object once per repository, `own_bytes` those that no other has. A scrub's times are null when
  // it never happened.
  virtual Json::Object stats() const = 0;

  // What of stats() the rows of objects alone say: a second for a million of them.
  virtual StoreTotals totals() const = 0;
};

}  // namespace holdfast::storage
