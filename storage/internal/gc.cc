// Garbage collection: condemn, wait, look again, remove, wait, unlink. Rows of the `gc` family say
// how far each object is, so that a crash anywhere is gone on from.
#include <algorithm>
#include <cerrno>
#include <mutex>
#include <unordered_set>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/internal/keys.h"
#include "storage/internal/local_care.h"
#include "storage/internal/row.h"
#include "storage/limits.h"

namespace holdfast::storage {
namespace {

constexpr std::size_t kChunkObjects = 256;  // condemned in one batch, while commits wait

enum class Stage : std::uint8_t { Condemned, Trashed };

// A file, or a small object, that is on its way out.
struct Outgoing {
  Digest digest;
  std::uint64_t generation = 0;
  Stage stage = Stage::Condemned;
  BlobPlace place = BlobPlace::File;
  std::uint64_t size_bytes = 0;
  Time since;
};

void put_outgoing(Batch& batch, const Outgoing& outgoing) {
  RowWriter row;
  row.byte(static_cast<std::uint8_t>(outgoing.stage))
      .byte(static_cast<std::uint8_t>(outgoing.place))
      .number(outgoing.size_bytes)
      .time(outgoing.since);
  batch.put(Family::Gc, keys::condemned(outgoing.digest, outgoing.generation), row.take());
}

std::vector<Outgoing> all_outgoing(const Database& database) {
  std::vector<Outgoing> all;
  database.scan(Family::Gc, "", [&](std::string_view key, std::string_view value) {
    RowReader row(value, "gc row");
    Outgoing one{.digest = object_of_key(key)};
    one.generation = keys::parse_big_endian(key.substr(one.digest.bytes.size()));
    one.stage = static_cast<Stage>(row.byte());
    one.place = static_cast<BlobPlace>(row.byte());
    one.size_bytes = row.number();
    one.since = row.time();
    all.push_back(one);
    return true;
  });
  return all;
}

struct Tally {
  std::uint64_t objects = 0, bytes = 0;

  void add(std::uint64_t size_bytes) {
    ++objects;
    bytes += size_bytes;
  }

  Json to_json() const { return Json::Object{{"objects", objects}, {"bytes", bytes}}; }
};

class Collector {
 public:
  Collector(LocalBlobStore& blobs, const GcOptions& options, JobContext& context)
      : blobs_(blobs),
        parts_(blobs.parts()),
        options_(options),
        context_(context),
        grace_(options.now ? std::chrono::hours(0) : kGcGrace),
        trash_period_(options.now ? std::chrono::hours(0) : kTrashPeriod) {}

  Json::Object run() {
    context_.report({.phase = "looking"});
    const std::vector<Digest> candidates = find_candidates();
    if (!options_.dry_run) {
      context_.report({.phase = "removing"});
      for (std::size_t at = 0; at < candidates.size(); at += kChunkObjects) {
        const std::size_t count = std::min(kChunkObjects, candidates.size() - at);
        condemn(std::span(candidates).subspan(at, count));
      }
    }
    leased_ = leased();
    for (const Outgoing& outgoing : all_outgoing(parts_.database)) advance(outgoing);
    return {{"dry_run", options_.dry_run},       {"kept", kept_.to_json()},
            {"condemned", condemned_.to_json()}, {"waiting", waiting_.to_json()},
            {"removed", removed_.to_json()},     {"freed", freed_.to_json()}};
  }

 private:
  using Objects = std::unordered_set<Digest>;

  Objects leased() const;
  bool is_referenced(const Digest& digest) const;
  std::vector<Digest> find_candidates();
  void check_share(const Tally& candidates) const;
  void condemn(std::span<const Digest> candidates);
  void advance(Outgoing outgoing);
  bool remove_rows(const Outgoing& outgoing);
  void move_to_trash(const Outgoing& outgoing) const;
  void unlink_trash(const Outgoing& outgoing);

  void check_stop() const {
    if (context_.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
  }

  std::filesystem::path trash_path(const Outgoing& outgoing) const {
    return parts_.layout.trash() / Layout::blob_name(outgoing.digest, outgoing.generation);
  }

  LocalBlobStore& blobs_;
  const BlobStoreParts& parts_;
  GcOptions options_;
  JobContext& context_;
  std::chrono::hours grace_, trash_period_;
  Objects leased_;  // before the look again
  Tally kept_, condemned_, waiting_, removed_, freed_;
};

// Objects that a lease names which has not expired.
Collector::Objects Collector::leased() const {
  Objects objects;
  const Time now = parts_.clock.now();
  for (const Lease& lease : parts_.leases.all()) {
    if (lease.object && lease.expires > now) objects.insert(*lease.object);
  }
  return objects;
}

bool Collector::is_referenced(const Digest& digest) const {
  bool found = false;
  parts_.database.scan(Family::Ref, keys::object(digest), [&](std::string_view, std::string_view) {
    found = true;
    return false;
  });
  return found;
}

// Commits go on meanwhile: what is found here is only a first guess.
std::vector<Digest> Collector::find_candidates() {
  const Objects kept_by_lease = leased();
  std::vector<Digest> candidates;
  Tally tally;
  for_each_object(parts_.database, [&](const Digest& digest) {
    check_stop();
    const auto row = find_blob_row(parts_.database, digest);
    if (!row || row->state == BlobState::Condemned) return;
    if (kept_by_lease.contains(digest) || is_referenced(digest)) {
      kept_.add(row->size_bytes);
      return;
    }
    candidates.push_back(digest);
    tally.add(row->size_bytes);
  });
  check_share(tally);
  if (options_.dry_run) condemned_ = tally;
  return candidates;
}

void Collector::check_share(const Tally& candidates) const {
  const std::uint64_t all = candidates.objects + kept_.objects;
  if (options_.force || options_.dry_run || all < kGcObjectsMin) return;
  if (candidates.objects * 100 <= all * kGcPercentMax) return;
  fail(ErrorKind::Conflict, "gc: " + std::to_string(candidates.objects) + " of " +
                                std::to_string(all) +
                                " objects would go; look with --dry-run, then use --force");
}

// No commit and no publication happens between the look and the write.
void Collector::condemn(std::span<const Digest> candidates) {
  check_stop();
  const std::unique_lock gate(parts_.gate);
  const Objects kept_by_lease = leased();
  Batch batch(parts_.database);
  for (const Digest& digest : candidates) {
    auto row = find_blob_row(parts_.database, digest);
    if (!row || row->state == BlobState::Condemned) continue;
    if (kept_by_lease.contains(digest) || is_referenced(digest)) continue;
    row->state = BlobState::Condemned;
    put_blob_row(batch, digest, *row);
    put_outgoing(batch, {.digest = digest,
                         .generation = row->generation,
                         .place = row->place,
                         .size_bytes = row->size_bytes,
                         .since = parts_.clock.now()});
    condemned_.add(row->size_bytes);
  }
  parts_.database.write(batch);
  ++parts_.generation;
}

void Collector::advance(Outgoing outgoing) {
  check_stop();
  const Time now = parts_.clock.now();
  if (options_.dry_run) return waiting_.add(outgoing.size_bytes);
  if (outgoing.stage == Stage::Condemned) {
    if (outgoing.since + grace_ > now) return waiting_.add(outgoing.size_bytes);
    if (!remove_rows(outgoing)) return;
    removed_.add(outgoing.size_bytes);
    if (outgoing.place == BlobPlace::Small) return freed_.add(outgoing.size_bytes);
    outgoing.since = now;
  }
  move_to_trash(outgoing);
  if (outgoing.since + trash_period_ > now) return waiting_.add(outgoing.size_bytes);
  unlink_trash(outgoing);
  freed_.add(outgoing.size_bytes);
}

// False when something names the object after all: then it is healthy again, unless a newer copy
// took its place.
bool Collector::remove_rows(const Outgoing& outgoing) {
  const std::unique_lock gate(parts_.gate);
  Batch batch(parts_.database);
  auto row = find_blob_row(parts_.database, outgoing.digest);
  const bool same = row && row->generation == outgoing.generation && row->place == outgoing.place;
  const bool current = same && row->state == BlobState::Condemned;
  const bool revived = same && !current;  // by a publication, since this run began
  // A lease that came since cannot name it: who stores it now makes a new copy.
  const bool needed =
      revived || (current && (is_referenced(outgoing.digest) || leased_.contains(outgoing.digest)));
  const bool replaced = !current && outgoing.place == BlobPlace::Small;
  if (current && needed) {
    row->state = BlobState::Healthy;
    put_blob_row(batch, outgoing.digest, *row);
  } else if (current) {
    batch.erase(Family::Blob, keys::object(outgoing.digest));
    if (row->place == BlobPlace::Small) batch.erase(Family::Small, keys::object(outgoing.digest));
  }
  if (!needed && outgoing.place == BlobPlace::File) {
    Outgoing next = outgoing;
    next.stage = Stage::Trashed;
    next.since = parts_.clock.now();
    put_outgoing(batch, next);
  } else {
    batch.erase(Family::Gc, keys::condemned(outgoing.digest, outgoing.generation));
  }
  parts_.database.write(batch);
  ++parts_.generation;
  return !needed && !replaced;
}

// Done already when an earlier run did it.
void Collector::move_to_trash(const Outgoing& outgoing) const {
  blobs_.forget({.digest = outgoing.digest, .generation = outgoing.generation});
  const auto from = parts_.layout.blob(outgoing.digest, outgoing.generation);
  if (::rename(from.c_str(), trash_path(outgoing).c_str()) != 0 && errno != ENOENT)
    fail_errno("rename", from.string(), errno);
}

void Collector::unlink_trash(const Outgoing& outgoing) {
  const auto path = trash_path(outgoing);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail_errno("unlink", path.string(), errno);
  Batch batch(parts_.database);
  batch.erase(Family::Gc, keys::condemned(outgoing.digest, outgoing.generation));
  parts_.database.write(batch);
}

}  // namespace

Json::Object run_gc(LocalBlobStore& blobs, const GcOptions& options, JobContext& context) {
  return Collector(blobs, options, context).run();
}

}  // namespace holdfast::storage
