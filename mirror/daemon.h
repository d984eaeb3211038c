// Keeps the [[mirror]] rules up to date: when each is looked at again, from which cursor on, and
// what hints do. It decides and queues `mirror` jobs; a worker runs them through run().
//
// A rule is due `every` after its last run, jittered so that many installations do not ask at once;
// after a failure sooner, with growing waits. Between full runs an organisation is asked only for
// what changed since the cursor, minus an overlap; once a day every repository is looked at, which
// finds moved branches and tags that upstream's lastModified does not tell of. The cursor moves
// only when mirror_rule() came through, that is, past nothing that is not stored or an open hole. A
// run to which no upstream answered counts as failed, and its holes are told all the same. A full
// run of a catalog of cards that ends early goes on where its list had come, for a day.
//
// Thread-safe; borrows what it is given.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "mirror/mirror.h"
#include "mirror/mirror_states.h"
#include "mirror/plan_mirrors.h"
#include "storage/base/clock.h"
#include "storage/base/sync.h"
#include "storage/jobs.h"
#include "storage/store.h"

namespace holdfast::mirror {

// When to look at a rule again. `chance` is in [0, 1). Nothing: never by itself. Pure.
std::optional<Time> next_run(const MirrorRule& rule, const MirrorState& state, Time now,
                             double chance);

// From where to ask an upstream for changes; nothing: for everything. Pure.
std::optional<Time> changes_since(const MirrorState& state, Time now);

class Daemon {
 public:
  // Upstreams and sinks for a rule; may throw (a token file that cannot be read).
  using MakeRequest = std::function<MirrorRequest(const MirrorRule& rule)>;

  struct Options {
    std::vector<MirrorRule> rules;
    std::filesystem::path state_file;
    MakeRequest make_request;
    EventSink* events = &no_events();      // borrowed
    const Clock* clock = &system_clock();  // borrowed
  };

  Daemon(storage::Store& store, Options options);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();  // ends the thread of start()

  // Closes the holes of what the rules do not mean any more; then queues jobs when they are due, in
  // a thread of its own.
  void start();

  // One look at the clock: queues what is due and says when to look again.
  Time enqueue_due();

  // The body of a `mirror` job {"rule": key} or, after a hint, {"only": "model/owner/name"}: a hint
  // about what no rule mirrors is ignored. Throws Unavailable where no upstream answered
  // (why_unanswered() of mirror.h); holes are no error: the result counts them.
  Json::Object run(const Json::Object& parameters, storage::JobContext& context);

  // {mirrors: [{repo, upstreams, revisions, every_seconds, watermark, full_at, tried_at, done_at,
  // next_at, failures, error, holes, active}]}
  Json::Object status();

  // Why the cursors of the run before could not be read; "" when all is well.
  const std::string& damage() const noexcept { return states_.damage(); }

 private:
  struct Plan {
    std::map<std::string, storage::JobId> jobs;  // the last one of each rule, by its key
    std::map<std::string, double> chances;       // of the next run
    bool stop = false;
  };

  void loop();
  void enqueue(const MirrorRule& rule);
  bool is_active(const MirrorRule& rule);
  double chance_of(const MirrorRule& rule);

  // What a run of a rule covers.
  struct RunSpan {
    std::optional<Time> since;
    Time start;
    std::optional<ListingCursor> resumed;
  };

  Json::Object run_rule(const MirrorRule& rule, storage::JobContext& context);
  void resume_listing(const MirrorRule& rule, MirrorState& state, MirrorRequest& request);
  void note_result(const Json::Object& result, const RunSpan& span, MirrorState& state);
  Json::Object run_only(const storage::RepoId& repo, storage::JobContext& context);
  void finish(const MirrorRule& rule, const MirrorState& state);

  storage::Store& store_;
  Options options_;
  MirrorStates states_;
  Sync<Plan> plan_{};
  std::thread thread_;
};

}  // namespace holdfast::mirror
