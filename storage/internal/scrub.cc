#include "storage/internal/scrub.h"

#include "storage/base/error.h"
#include "storage/internal/keys.h"
#include "storage/internal/local_care.h"
#include "storage/internal/object_check.h"
#include "storage/internal/row.h"

namespace holdfast::storage {
namespace {

constexpr std::string_view kScrubKey = "scrub";
// The cursor is saved after so much work, not synced: what is lost is read once more.
constexpr std::uint64_t kSaveObjects = 1000;
constexpr std::uint64_t kSaveBytes = 256ULL << 20;

}  // namespace

Scrub::Scrub(LocalBlobStore& blobs) : blobs_(blobs) {
  const auto bytes = blobs.parts().database.get(Family::Meta, kScrubKey);
  if (!bytes) return;
  RowReader row(*bytes, "scrub row");
  ScrubStatus status{.cycle_started = row.time(), .cycle_completed = row.time()};
  status.cycle_objects = row.number();
  status.cycle_bytes = row.number();
  status.cycle_findings = row.number();
  *status_.lock() = status;
  if (row.byte() != 0) cursor_ = row.digest();
}

Json::Object Scrub::run(const ScrubOptions& options, JobContext& context) {
  const std::unique_lock running(running_, std::try_to_lock);
  if (!running) fail(ErrorKind::Conflict, "scrub: another one is at work");
  if (!cursor_) begin_cycle();
  std::uint64_t unsaved_objects = 0, unsaved_bytes = 0;
  try {
    const auto visit = [&](const Digest& digest) {
      const std::uint64_t before = status().bytes;
      check(digest, options, context);
      cursor_ = digest;
      unsaved_bytes += status().bytes - before;
      if (++unsaved_objects < kSaveObjects && unsaved_bytes < kSaveBytes) return;
      save(false);
      unsaved_objects = unsaved_bytes = 0;
    };
    for_each_object(blobs_.parts().database, visit, cursor_ ? keys::object(*cursor_) : "");
  } catch (const Error&) {
    save(false);
    throw;
  }
  cursor_.reset();
  save(true);
  const ScrubStatus done = status();
  return {{"objects", done.cycle_objects},
          {"bytes", done.cycle_bytes},
          {"findings", done.cycle_findings}};
}

void Scrub::begin_cycle() {
  auto status = status_.lock();
  status->cycle_started = blobs_.parts().clock.now();
  status->cycle_objects = status->cycle_bytes = status->cycle_findings = 0;
}

// Known damage is a finding of every cycle, until the object comes in again.
void Scrub::check(const Digest& digest, const ScrubOptions& options, JobContext& context) {
  std::uint64_t read = 0;
  const auto finding = check_object(blobs_, digest, Depth::Bytes, [&](std::uint64_t bytes) {
    if (context.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
    read += bytes;
    status_.lock()->bytes += bytes;
    if (options.pace) options.pace(bytes);
  });
  {
    auto status = status_.lock();
    // Only now: an object that a stop cuts off is read again from its start.
    status->cycle_bytes += read;
    ++status->objects;
    ++status->cycle_objects;
    status->findings += finding ? 1 : 0;
    status->cycle_findings += finding ? 1 : 0;
  }
  if (finding && options.found)
    options.found(make_finding("damaged_object", to_hex(digest), *finding));
}

void Scrub::save(bool complete) {
  const BlobStoreParts& parts = blobs_.parts();
  ScrubStatus now;
  {
    auto status = status_.lock();
    if (complete) status->cycle_completed = parts.clock.now();
    now = *status;
  }
  RowWriter row;
  row.time(now.cycle_started).time(now.cycle_completed);
  row.number(now.cycle_objects).number(now.cycle_bytes).number(now.cycle_findings);
  row.byte(cursor_ ? 1 : 0);
  if (cursor_) row.digest(*cursor_);
  Batch batch(parts.database);
  batch.put(Family::Meta, kScrubKey, row.take());
  parts.database.write_lazily(batch);
}

}  // namespace holdfast::storage
