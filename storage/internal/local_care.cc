#include "storage/internal/local_care.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>

#include "storage/base/error.h"
#include "storage/base/sync.h"
#include "storage/internal/keys.h"
#include "storage/internal/repair.h"
#include "storage/internal/scrub.h"

namespace holdfast::storage {
namespace {

constexpr std::size_t kChunkObjects = 4096;
constexpr std::chrono::milliseconds kTurnPoll{100};

// Held by whoever's turn it is.
class Turn {
 public:
  explicit Turn(Sync<bool>& taken) : taken_(taken) {}

  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  ~Turn() {
    *taken_.lock() = false;
    taken_.notify_one();
  }

 private:
  Sync<bool>& taken_;
};

class LocalCare final : public Care {
 public:
  LocalCare(LocalBlobStore& blobs, const Catalog& catalog)
      : blobs_(blobs), catalog_(catalog), scrub_(blobs) {}

  Json::Object fsck(const FsckOptions& options, JobContext& context) override {
    return run_fsck(blobs_, catalog_, options, context);
  }

  Json::Object gc(const GcOptions& options, JobContext& context) override {
    const Turn turn = wait_for_turn(context);
    return run_gc(blobs_, options, context);
  }

  Json::Object plan_repair(const Broken& broken) const override {
    return make_repair_plan(blobs_.parts().database, catalog_, broken);
  }

  Json::Object scrub(const ScrubOptions& options, JobContext& context) override {
    return scrub_.run(options, context);
  }

  ScrubStatus scrub_status() const override { return scrub_.status(); }

  Json::Object backup(const BackupOptions& options, JobContext& context) override {
    const Turn turn = wait_for_turn(context);
    return run_backup(blobs_, options, context);
  }

  Json::Object why(const Digest& object) const override;
  Json::Object stats() const override;
  StoreTotals totals() const override;

 private:
  Turn wait_for_turn(JobContext& context);

  LocalBlobStore& blobs_;
  const Catalog& catalog_;
  Scrub scrub_;
  // By gc, which takes files away, or by backup, which counts on them.
  Sync<bool> turn_taken_{false};
};

Turn LocalCare::wait_for_turn(JobContext& context) {
  const auto take = [this] {
    auto taken = turn_taken_.lock();
    if (!taken.wait_for(kTurnPoll, [](bool value) { return !value; })) return false;
    *taken = true;
    return true;
  };
  while (!take()) {
    if (context.stop().stop_requested()) fail(ErrorKind::Cancelled, "stopped");
    context.report({.phase = "waiting", .note = "gc and backup take turns"});
  }
  return Turn(turn_taken_);
}

Json time_or_null(Time time) { return time == Time() ? Json() : Json(holdfast::to_text(time)); }

Json::Object LocalCare::stats() const {
  Json::Object stats = collect_stats(blobs_.parts().database);
  const ScrubStatus scrub = scrub_.status();
  stats.set("scrub", Json::Object{{"started", time_or_null(scrub.cycle_started)},
                                  {"completed", time_or_null(scrub.cycle_completed)},
                                  {"objects", scrub.cycle_objects},
                                  {"bytes", scrub.cycle_bytes},
                                  {"findings", scrub.cycle_findings}});
  return stats;
}

StoreTotals LocalCare::totals() const {
  const Database& database = blobs_.parts().database;
  StoreTotals totals;
  for_each_object(database, [&](const Digest& digest) {
    const auto row = find_blob_row(database, digest);
    if (!row || row->state == BlobState::Condemned) return;
    const bool in_file = row->place == BlobPlace::File;
    ++(in_file ? totals.files : totals.small);
    (in_file ? totals.file_bytes : totals.small_bytes) += row->size_bytes;
  });
  return totals;
}

Json::Object LocalCare::why(const Digest& object) const {
  constexpr std::array<std::string_view, 3> kStates = {"healthy", "damaged", "condemned"};
  const BlobStoreParts& parts = blobs_.parts();
  const auto row = find_blob_row(parts.database, object);
  Json::Object out{{"sha256", to_hex(object)},
                   {"state", row ? kStates.at(static_cast<std::size_t>(row->state)) : "absent"}};
  if (row) out.set("size", row->size_bytes);
  Json::Array references, leases;
  parts.database.scan(Family::Ref, keys::object(object), [&](std::string_view key, auto) {
    Reference reference = parse_reference(key);
    references.emplace_back(Json::Object{{"repo", std::move(reference.repo)},
                                         {"commit", std::move(reference.commit)},
                                         {"path", std::move(reference.path)}});
    return true;
  });
  for (const Lease& lease : parts.leases.all()) {
    if (lease.object != object || lease.expires <= parts.clock.now()) continue;
    leases.emplace_back(
        Json::Object{{"key", lease.key}, {"expires", holdfast::to_text(lease.expires)}});
  }
  out.set("references", std::move(references));
  out.set("leases", std::move(leases));
  return out;
}

struct Usage {
  std::uint64_t revisions = 0, files = 0, bytes = 0, own_bytes = 0;
};

}  // namespace

Digest object_of_key(std::string_view key) {
  Digest digest;
  if (key.size() < digest.bytes.size())
    fail(ErrorKind::Corrupt,
         "catalog key: expected a digest of 32 bytes, found " + std::to_string(key.size()));
  std::copy_n(key.begin(), digest.bytes.size(), digest.bytes.begin());
  return digest;
}

Reference parse_reference(std::string_view key) {
  key.remove_prefix(std::min(key.size(), Digest().bytes.size()));
  const std::size_t first = key.find('\0');
  const std::size_t second = first == key.npos ? key.npos : key.find('\0', first + 1);
  if (second == key.npos)
    fail(ErrorKind::Corrupt, "reference key: expected repository, commit and path, found less");
  return {.repo = std::string(key.substr(0, first)),
          .commit = std::string(key.substr(first + 1, second - first - 1)),
          .path = std::string(key.substr(second + 1))};
}

void for_each_object(const Database& database, const std::function<void(const Digest&)>& visit,
                     std::string after) {
  std::string last = std::move(after);
  while (true) {
    std::vector<Digest> chunk;
    const auto take = [&](std::string_view key, std::string_view) {
      if (key != last) chunk.push_back(object_of_key(key));
      return chunk.size() < kChunkObjects;
    };
    database.scan(Family::Blob, "", take, last);
    if (chunk.empty()) return;
    last = keys::object(chunk.back());
    for (const Digest& digest : chunk) visit(digest);
  }
}

// Reference rows come sorted by object, so that one object's holders are seen together.
Json::Object collect_stats(const Database& database) {
  std::uint64_t objects = 0, bytes = 0, referenced = 0, damaged = 0;
  for_each_object(database, [&](const Digest& digest) {
    const auto row = find_blob_row(database, digest);
    if (!row || row->state == BlobState::Condemned) return;
    ++objects;
    bytes += row->size_bytes;
    if (row->state == BlobState::Damaged) ++damaged;
  });
  std::map<std::string, Usage> usages;
  Digest current;
  std::map<std::string, std::uint64_t> holders;  // of `current`: files per repository
  const auto settle = [&] {
    const auto row = holders.empty() ? std::nullopt : find_blob_row(database, current);
    if (row) referenced += row->size_bytes;
    for (const auto& [repo, files] : holders) {
      Usage& usage = usages[repo];
      usage.files += files;
      if (!row) continue;
      usage.bytes += row->size_bytes;
      if (holders.size() == 1) usage.own_bytes += row->size_bytes;
    }
    holders.clear();
  };
  database.scan(Family::Ref, "", [&](std::string_view key, std::string_view) {
    const Digest digest = object_of_key(key);
    if (digest != current) settle();
    current = digest;
    ++holders[parse_reference(key).repo];
    return true;
  });
  settle();
  database.scan(Family::Head, keys::kRevisions, [&](std::string_view key, std::string_view) {
    key.remove_prefix(keys::kRevisions.size());
    ++usages[std::string(key.substr(0, key.find('\0')))].revisions;
    return true;
  });
  Json::Array rows;
  for (const auto& [repo, usage] : usages) {
    rows.emplace_back(Json::Object{{"repo", repo},
                                   {"revisions", usage.revisions},
                                   {"files", usage.files},
                                   {"bytes", usage.bytes},
                                   {"own_bytes", usage.own_bytes}});
  }
  return {{"objects", objects},
          {"bytes", bytes},
          {"unreferenced_bytes", bytes - std::min(bytes, referenced)},
          {"damaged", damaged},
          {"repositories", std::move(rows)}};
}

std::unique_ptr<Care> make_local_care(LocalBlobStore& blobs, const Catalog& catalog) {
  return std::make_unique<LocalCare>(blobs, catalog);
}

}  // namespace holdfast::storage
