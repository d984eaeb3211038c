// Fetches the missing files of a plan: many requests at once, straight into staging, hashed on the
// way, verified against upstream's own hashes before anything counts as stored.
//
// What arrived stays when a download stops, for whatever reason: staged parts under their lease,
// small files as objects. The same call later fetches the rest only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "mirror/arrival.h"
#include "mirror/limits.h"
#include "mirror/retry.h"
#include "mirror/upstream.h"
#include "storage/jobs.h"
#include "storage/store.h"

namespace holdfast::mirror {

class Rivals;
class Staging;

struct DownloadOptions {
  storage::RepoId repo;
  GitOid commit;
  unsigned workers = kWorkers;
  std::uint64_t part_bytes = kPartBytes;
  Milliseconds checkpoint_every{5'000};  // what a kill may cost, in time
  Pauser* pauser = &real_pauser();       // borrowed
  // Ends the whole download: requested here as well, when one file fails for good. The upstream
  // must listen to it.
  std::stop_source stop;
  std::uint64_t catalog_bytes = 0;  // that will be written besides: must fit, too
  // Called in the caller's thread, several times a second.
  std::function<void(const storage::Progress&)> report;
  ArrivalWatch* arrival = nullptr;   // borrowed; nullptr: nobody reads along
  std::shared_ptr<Staging> staging;  // shared by the process; nullptr: others wait to the end
  Rivals* rivals = nullptr;          // borrowed; who is asked too when the upstream stalls
  Milliseconds race_patience = kRacePatience;
  bool race_by_rate = true;  // false: somebody slows the upstream down on purpose
};

struct DownloadResult {
  std::vector<Digest> objects;      // in the order of the files
  std::vector<std::string> leases;  // to drop once the objects are referenced
  std::uint64_t fetched_bytes = 0;  // with those that came twice
};

// `files` are distinct by content; `object` is set for LFS files only. Throws the first error that
// is final: Corrupt when a file hashes wrong time and again, NoSpace before fetching anything, or
// what upstream throws.
DownloadResult download(std::span<const storage::FileRecord> files, Upstream& upstream,
                        storage::Store& store, const DownloadOptions& options);

}  // namespace holdfast::mirror
