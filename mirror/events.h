// What happens to mirrored repositories that somebody may want to know: a small record, and where
// it goes. Sinks are log lines, metrics, webhooks, and the repository's own history (the fact
// "mirror" of a repository).
//
// Thread-safety: emit() may be called from any thread and several at once. It must not throw and
// should return soon: a slow sink queues. Details hold no secrets and no addresses with queries.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/base/json.h"
#include "storage/repo_id.h"

namespace holdfast::mirror {

enum class EventKind {
  // {revision, commit, bytes_fetched}: a new revision is visible; of a catalog of cards beyond its
  // first thousand {repositories, bytes_fetched}: so many are, and the repository is the pattern
  SyncDone,
  SyncSkipped,        // {revision, commit, reason}: outside what the configuration allows
  HoleOpened,         // {commit, path, reason}: could not be mirrored, will be retried
  HoleClosed,         // {commit, path}: it is here now, or nobody wants it any more
  FailedOver,         // {from, to, reason}: the next upstream was asked
  RefRewritten,       // {ref, before, after}: upstream's new commit does not follow from the old
  RefDeleted,         // {ref, before}: gone upstream, kept here
  RefDropped,         // {ref, before, for}: gone upstream, and in the way of the ref `for`
  RefRestored,        // {ref, after}: it is there again
  RepositoryGone,     // {reason}: deleted upstream, or hidden from our token; kept here
  RepositoryBack,     // {}
  RepositoryRenamed,  // {before, after}
  GatingChanged,      // {before, after}: "", "auto", "manual"
  LicenseChanged,     // {before, after}
  RevisionExpired,    // {commit}: dropped here by `keep`
};

// In kebab case: "hole-opened".
std::string_view to_text(EventKind kind) noexcept;
// Nothing for other words.
std::optional<EventKind> parse_event_kind(std::string_view text) noexcept;

struct Event {
  EventKind kind = EventKind::SyncDone;
  storage::RepoId repo;
  Json::Object details = {};
  Time time = {};
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void emit(const Event& event) noexcept = 0;
};

// Swallows everything: for callers without sinks.
EventSink& no_events() noexcept;

}  // namespace holdfast::mirror
