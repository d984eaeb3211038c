// Garbage collection: condemn, wait, look again, remove, wait, unlink. Rows of the `gc` family say
// how far each object is, so that a crash anywhere is gone on from.
#include <algorithm>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "storage/base/error.h"
#include "storage/internal/keys.h"
#include "storage/internal/local_care.h"
#include "storage/internal/row.h"
#include "storage/internal/trust.h"
#include "storage/limits.h"

namespace holdfast::storage {
namespace {

namespace fs = std::filesystem;

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
    refuse_without_trust();
    context_.report({.phase = "looking"});
    if (!options_.dry_run) blobs_.drop_abandoned();
    const std::vector<Digest> candidates = look();
    const std::vector<Outgoing> extra = find_extra_files();
    check_share();
    if (options_.dry_run) {
      condemned_ = going_;
    } else {
      context_.report({.phase = "removing"});
      for_chunks(candidates, [this](std::span<const Digest> chunk) { condemn(chunk); });
      for_chunks(extra, [this](std::span<const Outgoing> chunk) { condemn_files(chunk); });
    }
    advance();
    return {{"dry_run", options_.dry_run},       {"kept", kept_.to_json()},
            {"condemned", condemned_.to_json()}, {"waiting", waiting_.to_json()},
            {"removed", removed_.to_json()},     {"freed", freed_.to_json()}};
  }

 private:
  using Objects = std::unordered_set<Digest>;

  void refuse_without_trust() const;
  std::vector<Digest> look();
  void start_watching();
  Objects leased() const;
  bool is_referenced(const Digest& digest) const;
  bool is_leased(const Digest& digest) const;
  std::vector<Digest> find_candidates();
  std::vector<Outgoing> find_extra_files();
  void check_share() const;
  void condemn(std::span<const Digest> candidates);
  void condemn_files(std::span<const Outgoing> files);
  void advance();
  void remove_rows(std::span<const Outgoing> condemned, std::vector<Outgoing>& trashed);
  std::optional<Outgoing> settle(Batch& batch, const Outgoing& outgoing);
  void move_to_trash(const Outgoing& outgoing) const;
  void empty_trash(std::span<const Outgoing> trashed);

  // Calls `work` with all of `items` in order, a batch's worth at a time.
  template <class Item, class Work>
  void for_chunks(const std::vector<Item>& items, const Work& work) const {
    for (std::size_t at = 0; at < items.size(); at += kChunkObjects) {
      if (context_.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
      work(std::span(items).subspan(at, std::min(kChunkObjects, items.size() - at)));
    }
  }

  void check_stop() const {
    if (context_.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
  }

  fs::path trash_path(const Outgoing& outgoing) const {
    return parts_.layout.trash() / Layout::blob_name(outgoing.digest, outgoing.generation);
  }

  LocalBlobStore& blobs_;
  const BlobStoreParts& parts_;
  GcOptions options_;
  JobContext& context_;
  std::chrono::hours grace_, trash_period_;
  std::optional<Leases::Watch> watch_;  // what leases name since `leased_` was read
  Objects leased_;
  Tally going_;  // at the first look
  Tally kept_, condemned_, waiting_, removed_, freed_;
};

// What the catalog says of who needs what has to be complete, or an object that is needed goes.
void Collector::refuse_without_trust() const {
  if (const auto why = find_distrust(parts_.database))
    fail(ErrorKind::Conflict,
         "gc: refused, because " + *why + "; an fsck that finds the catalog complete lifts this");
}

// An unreadable row may be the one that keeps an object: until all can be read, nothing goes.
std::vector<Digest> Collector::look() {
  try {
    start_watching();
    return find_candidates();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Corrupt || error.kind() == ErrorKind::Io)
      distrust(parts_.database, std::string("an earlier gc could not read it: ") + error.what());
    throw;
  }
}

// Who gives leases holds the gate until the row is written: what came before is read, what comes
// after is seen.
void Collector::start_watching() {
  {
    const std::unique_lock gate(parts_.gate);
    watch_.emplace(parts_.leases);
  }
  leased_ = leased();
}

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

bool Collector::is_leased(const Digest& digest) const {
  return leased_.contains(digest) || watch_->saw(digest);
}

// Commits go on meanwhile: what is found here is only a first guess.
std::vector<Digest> Collector::find_candidates() {
  std::vector<Digest> candidates;
  for_each_object(parts_.database, [&](const Digest& digest) {
    check_stop();
    const auto row = find_blob_row(parts_.database, digest);
    if (!row || row->state == BlobState::Condemned) return;
    if (is_leased(digest) || is_referenced(digest)) {
      kept_.add(row->size_bytes);
      return;
    }
    candidates.push_back(digest);
    going_.add(row->size_bytes);
  });
  return candidates;
}

// A catalog that was lost, or set back by hand, looks like this too.
void Collector::check_share() const {
  const std::uint64_t all = going_.objects + kept_.objects;
  if (options_.force || options_.dry_run || all < kGcObjectsMin) return;
  if (going_.objects * 100 <= all * kGcPercentMax) return;
  fail(ErrorKind::Conflict, "gc: " + std::to_string(going_.objects) + " of " + std::to_string(all) +
                                " objects would go; look with --dry-run, then use --force");
}

// No commit and no publication happens between the look and the write; so it is kept short.
void Collector::condemn(std::span<const Digest> candidates) {
  const std::unique_lock gate(parts_.gate);
  Batch batch(parts_.database);
  for (const Digest& digest : candidates) {
    auto row = find_blob_row(parts_.database, digest);
    if (!row || row->state == BlobState::Condemned) continue;
    if (is_leased(digest) || is_referenced(digest)) continue;
    Outgoing outgoing{.digest = digest,
                      .generation = row->generation,
                      .place = row->place,
                      .size_bytes = row->size_bytes,
                      .since = parts_.clock.now()};
    condemned_.add(row->size_bytes);
    if (row->state == BlobState::Damaged) {
      // No publication may bring it back, so there is nothing to wait for.
      erase_object(batch, digest, row->place);
      outgoing.stage = Stage::Trashed;
      removed_.add(row->size_bytes);
    } else {
      row->state = BlobState::Condemned;
      put_blob_row(batch, digest, *row);
    }
    if (outgoing.stage == Stage::Condemned || outgoing.place == BlobPlace::File)
      put_outgoing(batch, outgoing);
    else
      freed_.add(outgoing.size_bytes);
  }
  parts_.database.write(batch);
  ++parts_.generation;
}

// Files of blobs/ that no row names: a commit whose rows could not be written leaves one.
std::vector<Outgoing> Collector::find_extra_files() {
  std::vector<Outgoing> extra;
  for (const auto& entry : fs::recursive_directory_iterator(parts_.layout.blobs())) {
    check_stop();
    if (!entry.is_regular_file()) continue;
    const auto name = parse_file_name(entry.path().filename().string());
    if (!name || blobs_.is_named(*name)) continue;
    std::error_code gone;
    const std::uint64_t size = entry.file_size(gone);
    if (gone) continue;  // moved meanwhile
    extra.push_back({.digest = name->digest, .generation = name->generation, .size_bytes = size});
    going_.add(size);
  }
  return extra;
}

// They leave like a condemned object: after the grace, unless somebody counts on them by then.
void Collector::condemn_files(std::span<const Outgoing> files) {
  const std::unique_lock gate(parts_.gate);
  Batch batch(parts_.database);
  for (Outgoing file : files) {
    if (blobs_.has_row({.digest = file.digest, .generation = file.generation})) continue;
    condemned_.add(file.size_bytes);
    file.since = parts_.clock.now();
    put_outgoing(batch, file);
  }
  parts_.database.write(batch);
}

void Collector::advance() {
  const Time now = parts_.clock.now();
  std::vector<Outgoing> condemned, trashed, due;
  for (const Outgoing& outgoing : all_outgoing(parts_.database)) {
    const bool in_grace = outgoing.stage == Stage::Condemned && outgoing.since + grace_ > now;
    if (options_.dry_run || in_grace)
      waiting_.add(outgoing.size_bytes);
    else
      (outgoing.stage == Stage::Condemned ? condemned : trashed).push_back(outgoing);
  }
  for_chunks(condemned, [&](std::span<const Outgoing> chunk) { remove_rows(chunk, trashed); });
  const Time later = parts_.clock.now();
  for (const Outgoing& outgoing : trashed) {
    check_stop();
    move_to_trash(outgoing);
    if (outgoing.since + trash_period_ > later)
      waiting_.add(outgoing.size_bytes);
    else
      due.push_back(outgoing);
  }
  for_chunks(due, [this](std::span<const Outgoing> chunk) { empty_trash(chunk); });
}

// Looks again, and takes away the rows of what nothing names; those that have a file are `trashed`.
void Collector::remove_rows(std::span<const Outgoing> condemned, std::vector<Outgoing>& trashed) {
  std::vector<Outgoing> with_file;
  const std::unique_lock gate(parts_.gate);
  Batch batch(parts_.database);
  for (const Outgoing& outgoing : condemned) {
    if (const auto next = settle(batch, outgoing)) with_file.push_back(*next);
  }
  parts_.database.write(batch);
  ++parts_.generation;
  trashed.insert(trashed.end(), with_file.begin(), with_file.end());
}

// The rows of one object that was condemned, and what is left to do: move its file. When something
// names the object after all, it is healthy again, unless a newer copy took its place.
std::optional<Outgoing> Collector::settle(Batch& batch, const Outgoing& outgoing) {
  auto row = find_blob_row(parts_.database, outgoing.digest);
  const bool same = row && row->generation == outgoing.generation && row->place == outgoing.place;
  const bool current = same && row->state == BlobState::Condemned;
  const bool revived = same && !current;  // by a publication, since this run began
  const bool needed =
      revived || (current && (is_referenced(outgoing.digest) || is_leased(outgoing.digest)));
  if (current && needed) {
    row->state = BlobState::Healthy;
    put_blob_row(batch, outgoing.digest, *row);
  } else if (current) {
    erase_object(batch, outgoing.digest, row->place);
  }
  const bool replaced = !current && outgoing.place == BlobPlace::Small;
  const auto gone = [&](Tally& tally) {
    if (!needed && !replaced) tally.add(outgoing.size_bytes);
  };
  gone(removed_);
  if (needed || outgoing.place == BlobPlace::Small) {
    batch.erase(Family::Gc, keys::condemned(outgoing.digest, outgoing.generation));
    gone(freed_);
    return std::nullopt;
  }
  Outgoing next = outgoing;
  next.stage = Stage::Trashed;
  next.since = parts_.clock.now();
  put_outgoing(batch, next);
  return next;
}

// Done already when an earlier run did it.
void Collector::move_to_trash(const Outgoing& outgoing) const {
  blobs_.forget({.digest = outgoing.digest, .generation = outgoing.generation});
  [[maybe_unused]] const bool moved = parts_.disk.rename(
      parts_.layout.blob(outgoing.digest, outgoing.generation), trash_path(outgoing));
}

// The rows go last: until then the next run knows what to unlink.
void Collector::empty_trash(std::span<const Outgoing> trashed) {
  for (const Outgoing& outgoing : trashed) parts_.disk.remove(trash_path(outgoing));
  parts_.disk.sync_directory(parts_.layout.trash());
  Batch batch(parts_.database);
  for (const Outgoing& outgoing : trashed)
    batch.erase(Family::Gc, keys::condemned(outgoing.digest, outgoing.generation));
  parts_.database.write(batch);
  for (const Outgoing& outgoing : trashed) freed_.add(outgoing.size_bytes);
}

}  // namespace

Json::Object run_gc(LocalBlobStore& blobs, const GcOptions& options, JobContext& context) {
  return Collector(blobs, options, context).run();
}

}  // namespace holdfast::storage
