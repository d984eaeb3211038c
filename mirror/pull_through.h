// Fetches on demand (storage/pull_through.h): a `pull` job for each revision asked for, one sync
// for all who wait, and a short memory of what upstream refused. Thread-safe.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mirror/sync.h"
#include "storage/base/clock.h"
#include "storage/base/sync.h"
#include "storage/pull_through.h"

namespace holdfast::mirror {

// Where a repository may be pulled from, and what of it.
struct PullSource {
  // Asked in order until one has it; the next ones are raced with one that stalls. Empty: nowhere.
  std::vector<UpstreamConfig> upstreams;
  storage::Selection selection;
  SyncLimits limits;
  EventSink* events = &no_events();  // borrowed
};

class PullThrough final : public storage::PullThrough {
 public:
  using FindSource = std::function<PullSource(const storage::RepoId& repo)>;

  // `source` may throw (a token file that cannot be read). `store` and `clock` are borrowed.
  PullThrough(storage::Store& store, FindSource source, const Clock& clock = system_clock());
  ~PullThrough() override;

  storage::Pull pull(const storage::RepoId& repo, std::string_view revision) override;
  Watch watch(std::function<void()> changed) override;

  // The body of a `pull` job. Result and errors as sync().
  Json::Object run(const storage::RepoId& repo, const std::string& revision,
                   storage::JobContext& context);

 private:
  class Entry;
  // By "model/owner/name@revision".
  using Entries = std::map<std::string, std::shared_ptr<Entry>>;
  using Watchers = std::list<std::function<void()>>;

  std::shared_ptr<Entry> find(Entries& entries, const storage::RepoId& repo,
                              std::string_view revision);
  bool make_room(Entries& entries);
  bool may_start();
  bool is_lost(Entry& entry);
  std::shared_ptr<Entry> entry_of(const std::string& key);
  void forget(const std::string& key, const std::shared_ptr<Entry>& entry);
  Json::Object try_sources(const storage::RepoId& repo, const std::string& revision, Entry& entry,
                           storage::JobContext& context);

  storage::Store& store_;
  FindSource source_;
  const Clock& clock_;
  std::shared_ptr<Sync<Watchers>> watchers_;  // shared with what watch() returned
  Sync<Entries> entries_{};

  struct Starts {
    Time minute;  // in which they were counted
    std::size_t count = 0;
  };

  Sync<Starts> starts_{};
};

}  // namespace holdfast::mirror
