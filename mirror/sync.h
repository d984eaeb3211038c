// Mirrors one revision of one repository into a store, or takes in a plain folder.
//
// refs -> commit -> tree -> plan -> download -> verify -> publish, as ARCHITECTURE section 3 has
// it. Nothing is visible before everything selected is stored and verified; then the revision, its
// ref, its git objects and its evidence become visible in one atomic write, and a `scan` job is
// queued. A call that fails, is cancelled or dies leaves what it fetched for the next one.
//
// A download that stalls is raced: the next upstream is asked for the bytes that are missing,
// whoever has them first delivers them, and the evidence lists both (`raced`).
//
// Errors: Invalid (endpoint, revision), NotFound (repository, revision), Denied (gating, token,
// redirect, offline), Corrupt (upstream contradicts its own hashes), NoSpace, Conflict (the
// repository here is not a mirror), Unavailable and Timeout (after all retries), Cancelled.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "mirror/arrival.h"
#include "mirror/bandwidth.h"
#include "mirror/events.h"
#include "mirror/governor.h"
#include "mirror/limits.h"
#include "mirror/outbound.h"
#include "mirror/retry.h"
#include "storage/base/json.h"
#include "storage/catalog.h"
#include "storage/jobs.h"
#include "storage/store.h"

namespace holdfast::mirror {

class Staging;

// How hard and how patiently to ask. The defaults are the promises; tests shrink them.
struct SyncTuning {
  RetryLimits retry;
  Pauser* pauser = &real_pauser();  // borrowed
  Milliseconds connect_timeout{15'000};
  Milliseconds stall_window{30'000};
  Milliseconds checkpoint_every{5'000};
  unsigned workers = kWorkers;
  std::uint64_t part_bytes = kPartBytes;
  Milliseconds race_patience = kRacePatience;  // then the next upstream is asked for the same bytes
  unsigned repositories = kRepositoriesAtOnce;  // of a rule, side by side
};

struct UpstreamConfig {
  std::string name;      // as configured, for logs
  std::string endpoint;  // "https://huggingface.co"
  std::string token;     // "" = anonymous; goes to the endpoint's own origin only
  std::string proxy;     // "" = as the environment says
  std::string ca_file;   // "" = SSL_CERT_FILE, else the system's
  std::vector<std::string> redirect_hosts = {"huggingface.co", "hf.co"};
  std::vector<std::string> allow_private = {};  // address ranges that a redirect may lead to
  bool offline = false;                         // refuse to connect
  std::shared_ptr<Bandwidth> bandwidth;  // shared by all who use the upstream; nullptr: no limit
  std::shared_ptr<Governor> governor;    // shared by all who use the account; nullptr: an own one
  std::shared_ptr<Outbound> outbound;    // shared by the whole process; nullptr: nobody counts
  std::shared_ptr<Staging> staging = nullptr;  // shared by the whole process (staging.h)
  // Shared by the syncs that keep to one number of requests; nullptr: each has its own
  // kRequestsMax.
  std::shared_ptr<RequestSlots> slots = nullptr;
  SyncTuning tuning;
};

// What is not mirrored although it is asked for; `force` overrules. Denied, before any download.
struct SyncLimits {
  std::uint64_t size_bytes_max = 0;   // selected files of the revision, all together; 0: no limit
  std::vector<std::string> licenses;  // globs, in any case; empty: any, and none stated
};

// Which open holes a sync by hand mends when it succeeds.
enum class ClosesHoles {
  None,          // less is selected than the configuration wants
  OfCommit,      // the commit is whole now; other revisions are wanted besides
  OfRepository,  // for the default branch: those too of which no commit is known
};

struct SyncRequest {
  storage::RepoId repo;
  std::string revision;  // branch, tag, refs/…, commit; "" = the default branch
  storage::Selection selection;
  UpstreamConfig upstream;
  // Asked in turn while those before are down, and for the bytes of a transfer that stalls.
  std::vector<UpstreamConfig> fallbacks;
  SyncLimits limits;
  bool git = true;  // false: files and listing alone, upstream's git objects are not asked for
  bool full_history = false;  // every commit before it, too, where upstream offers git
  ClosesHoles closes = ClosesHoles::OfRepository;
  bool dry_run = false;
  bool force =
      false;  // ask and list again even when the commit is stored; mirror over a local repo
  EventSink* events = &no_events();  // borrowed
  ArrivalWatch* arrival = nullptr;   // borrowed; for who serves the files before they are complete
};

// Result: {repo, commit, ref, files, bytes_total, bytes_fetched, requests, upstream,
// already_current}, and for a dry run also {plan: [{path, size, why}], bytes_to_fetch}. `ref` is
// null for a bare commit, where a fallback is behind what is held, and where another sync moved the
// ref on meanwhile. `upstream` names who answered.
Json::Object sync(const SyncRequest& request, storage::Store& store, storage::JobContext& context);

struct DirectorySyncRequest {
  storage::RepoId repo;
  std::filesystem::path directory;
  std::string revision;  // of a cached repository or a clone: a ref or commit that it has
  storage::Selection selection;
  bool dry_run = false;
};

// The folder as a revision of its own on refs/heads/main. Files of kLfsThreshold bytes or more, and
// those with a binary weight's name, are LFS files, as the hub's .gitattributes has it. The commit
// is a function of names, content and the revision before: fixed author and message, and a time
// that starts at 2000-01-01T00:00:00Z and grows by one second per revision. ".git" and ".cache" at
// any depth are left out. An unchanged folder makes no new revision.
//
// A git clone, or a bare repository, is taken in under its commit's own id, on the branch or tag
// that `revision` names ("" = HEAD's), with LFS content from where git-lfs keeps it; what is not
// committed is left alone. NotFound names LFS files whose content the clone lacks.
//
// The cache of Hugging Face's clients is taken in by its root, a repository or a snapshot; its
// blobs must have the hash that is their name (Corrupt). What links lead elsewhere is left out and
// named: the result has {warnings: [line]} too.
Json::Object sync_directory(const DirectorySyncRequest& request, storage::Store& store,
                            storage::JobContext& context);

}  // namespace holdfast::mirror
