// One revision from a session's upstream: found current, planned, or made visible.
#pragma once

#include <cstdint>
#include <span>

#include "mirror/internal/revision_choice.h"
#include "mirror/internal/sync_session.h"
#include "mirror/internal/upstream_watch.h"
#include "mirror/sync.h"

namespace holdfast::mirror {

// Conflict where something lies here under this name that did not come from an upstream: it is not
// replaced in passing.
void check_origin(const SyncRequest& request, const storage::Catalog& catalog);

// Which commit the request's word means; asks where the refs alone do not tell.
RevisionChoice ask_choice(const SyncRequest& request, SyncSession& session,
                          std::span<const storage::Ref> refs);

struct RevisionSync {
  const SyncRequest& request;  // borrowed; its revision was looked up already
  RevisionChoice choice;
  // Not the first upstream: it may be behind the first, so it moves no ref back.
  bool fallback = false;
  std::uint64_t requests_before = 0;  // of the session, that belong to others
};

// Result and errors as sync(), and LeftOut.
Json::Object sync_revision(const RevisionSync& job, SyncSession& session, UpstreamWatch& watch);

}  // namespace holdfast::mirror
