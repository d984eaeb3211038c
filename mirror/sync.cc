#include "mirror/sync.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include "mirror/internal/failover.h"
#include "mirror/internal/holes.h"
#include "mirror/internal/sync_run.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

Json::Object sync_from(const SyncRequest& request, bool fallback, SyncSession& session,
                       UpstreamWatch& watch) {
  session.reporter().phase("listing");
  std::vector<storage::Ref> refs;
  try {
    refs = session.upstream().refs(request.repo, request.revision.starts_with("refs/pr/"));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::NotFound) watch.saw_nothing(error.what());
    throw;
  }
  watch.saw_refs(refs);
  return sync_revision(
      {.request = request, .choice = ask_choice(request, session, refs), .fallback = fallback},
      session, watch);
}

// What the sync brought is no hole any more, nor is it dropped by retention when it was asked for
// by its commit (a client's pull is no such wish).
void note_result(const SyncRequest& request, const Json::Object& result, storage::Catalog& catalog,
                 UpstreamWatch& watch) {
  const auto commit = parse_git_oid(result.find("commit")->as_string("commit"));
  const bool by_commit =
      !request.revision.empty() && commit && to_hex(*commit).starts_with(request.revision);
  if (by_commit && request.arrival == nullptr) watch.pin(*commit);
  if (request.closes == ClosesHoles::None) return;
  const bool of_repository = request.closes == ClosesHoles::OfRepository;
  close_holes(catalog, watch, catalog.holes(request.repo), [&](const storage::Hole& hole) {
    return hole.commit == commit ||
           (of_repository && hole.commit == GitOid{} && request.revision.empty());
  });
}

}  // namespace

Json::Object sync(const SyncRequest& request, storage::Store& store, storage::JobContext& context) {
  check_origin(request, store.catalog());
  UpstreamWatch watch(store.catalog(), request.repo,
                      request.dry_run ? no_events() : *request.events);
  std::vector<UpstreamConfig> upstreams = {request.upstream};
  std::ranges::copy(request.fallbacks, std::back_inserter(upstreams));
  const auto attempt = [&](std::size_t i) {
    watch.listen_to(upstreams, i);
    SyncSession session(upstreams[i], std::span(upstreams).subspan(i + 1), store, context);
    return sync_from(request, i > 0, session, watch);
  };
  const auto changed = [&](Json::Object details) {
    context.log("asking " + details.find("to")->as_string() + ": " +
                details.find("reason")->as_string());
    watch.emit(EventKind::FailedOver, std::move(details));
  };
  if (request.dry_run) return with_failover(upstreams, attempt, changed);
  try {
    Json::Object result = with_failover(upstreams, attempt, changed);
    note_result(request, result, store.catalog(), watch);
    watch.save();
    return result;
  } catch (const Error&) {
    watch.save();  // what was seen of upstream is true even so
    throw;
  }
}

}  // namespace holdfast::mirror
