// Mirrors what the configuration lists: repository by repository, several side by side, with
// fail-over between upstreams, holes instead of gaps, events for what changed upstream, and
// retention.
//
// A repository is passed only when everything that its rule selects is stored and verified, is left
// out by the rule (too large, another licence), or is recorded as an open hole of the catalog. So a
// caller may move a cursor behind whatever mirror_repository() returned for. Thrown are only
// Cancelled and Io (our own disk), and what makes a listing of repositories fail: then nothing has
// passed.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mirror/events.h"
#include "mirror/plan_mirrors.h"
#include "mirror/sync.h"
#include "storage/base/json.h"
#include "storage/jobs.h"
#include "storage/store.h"

namespace holdfast::mirror {

// How far the list of a catalog of cards was read: everything before it is stored, left out, or an
// open hole. A run that ended early goes on from here; what changed since it `started` the next one
// finds.
struct ListingCursor {
  std::string upstream;         // by its name: whose list
  std::string next;             // as Upstream::RepositoryPage told
  Time started;                 // of the run that read the first page
  std::optional<Time> changed;  // the newest change among what was listed

  bool operator==(const ListingCursor&) const = default;
};

// What a scan would say of a revision of which only this card is here, as facts of the catalog.
// Called from several threads.
using CardFacts = std::function<std::vector<std::pair<std::string, Json>>(std::string_view card)>;

struct MirrorRequest {
  MirrorRule rule;
  std::vector<MirrorRule> rules;          // all that are configured: another may decide about a
                                          // repository (find_rule)
  std::vector<UpstreamConfig> upstreams;  // in fail-over order; at least one
  bool dry_run = false;                   // fetches and records nothing
  bool force = false;                     // as SyncRequest
  EventSink* events = &no_events();       // borrowed
  // Of a catalog of cards (mirror_rule()).
  CardFacts card_facts = {};                 // without: a `scan` job for each card
  std::optional<ListingCursor> resume = {};  // of a full run
  std::function<void(const ListingCursor&)> passed = {};
};

// One repository of the rule: one request when nothing changed upstream.
// Result: {repo, revisions: [result of sync()], skipped: [{revision, commit, reason}],
// holes: [{revision, commit, reason}], gone: reason or null, answered: 1 where upstream said
// something of it, else 0, down: why nobody could be asked for some of it, or null,
// expired: [commit], bytes_fetched, bytes_to_fetch, requests}.
Json::Object mirror_repository(const MirrorRequest& request, const storage::RepoId& repo,
                               storage::Store& store, storage::JobContext& context);

// All repositories of the rule, SyncTuning::repositories of the first upstream at once and within
// one upstream's kRequestsMax together, that changed since (`since` nothing: all of them, and those
// held here that upstream does not list any more), and those with open holes. Result: {pattern,
// listed, current, answered, repositories: [result of mirror_repository() where there is news],
// holes, down, bytes_fetched, bytes_to_fetch, requests, changed}, in the order of the listing.
// `answered` counts the repositories that upstream said something of, were it that there is none.
// `down` is the reason where upstream went away, or said nothing at all. `changed` is the
// newest change that the listing told, for the caller's watermark, or null.
//
// `cards_only` over a pattern, for the default branches, is a catalog of cards, which may have
// millions: one request for each card that is new, none for what upstream lists as it is held, and
// hundreds become visible in one write. Of a revision that came so the card alone is known: a sync
// that selects more lists it anew. Then the result has {cards: {published, left_out, to_fetch}}
// too, and `repositories` has no more than what was mirrored as any repository, and the first
// hundred holes and of what was left out. Arrivals are told one by one up to a thousand of a run,
// those beyond that are new by the write. Holes that upstream's list of changes does not name are
// tried again in full runs, and a thousand of them in others.
Json::Object mirror_rule(const MirrorRequest& request, std::optional<Time> since,
                         storage::Store& store, storage::JobContext& context);

// Of a result of either: why upstream could not be asked at all. "" where it told something, and
// where there was nothing to ask.
std::string why_unanswered(const Json::Object& result);

// Closes the holes of repositories that no rule means any more.
void close_stale_holes(std::span<const MirrorRule> rules, storage::Store& store, EventSink& events);

}  // namespace holdfast::mirror
