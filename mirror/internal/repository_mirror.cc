#include "mirror/internal/repository_mirror.h"

#include <algorithm>
#include <set>
#include <utility>

#include "mirror/internal/failover.h"
#include "mirror/internal/left_out.h"
#include "mirror/internal/retention.h"
#include "mirror/internal/revision_choice.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

// What stops everything, and not just one repository.
bool is_ours(ErrorKind kind) noexcept {
  return kind == ErrorKind::Cancelled || kind == ErrorKind::Io;
}

std::string name_of(const RevisionChoice& choice) {
  return choice.ref ? choice.ref->name : to_hex(choice.commit);
}

std::uint64_t sum_of(const Json::Array& results, std::string_view key) {
  std::uint64_t sum = 0;
  for (const Json& result : results) {
    if (const Json* const value = result.find(key)) sum += value->as_uint(key);
  }
  return sum;
}

}  // namespace

Sessions::Sessions(std::span<const UpstreamConfig> upstreams, storage::Store& store,
                   storage::JobContext& context)
    : upstreams_(upstreams), store_(store), context_(context), sessions_(upstreams.size()) {}

SyncSession& Sessions::at(std::size_t upstream) {
  std::unique_ptr<SyncSession>& session = sessions_.at(upstream);
  if (session && session->is_spent()) {
    spent_requests_ += session->requests();
    session.reset();
  }
  if (!session) {
    session = std::make_unique<SyncSession>(upstreams_[upstream], upstreams_.subspan(upstream + 1),
                                            store_, context_);
  }
  return *session;
}

std::uint64_t Sessions::requests() const {
  std::uint64_t sum = spent_requests_;
  for (const auto& session : sessions_) {
    if (session) sum += session->requests();
  }
  return sum;
}

RepositoryMirror::RepositoryMirror(const MirrorRequest& request, const storage::RepoId& repo,
                                   std::optional<GitOid> listed, Sessions& sessions,
                                   storage::Store& store, storage::JobContext& context)
    : request_(request),
      repo_(repo),
      listed_(listed),
      sessions_(sessions),
      store_(store),
      context_(context),
      watch_(store.catalog(), repo, request.dry_run ? no_events() : *request.events),
      requests_before_(sessions.requests()) {}

Json::Object RepositoryMirror::run() {
  try {
    check_origin(sync_request({}), store_.catalog());
    with_failover(
        request_.upstreams, [this](std::size_t i) { mirror_from(i); },
        [this](Json::Object details) { watch_.emit(EventKind::FailedOver, std::move(details)); });
  } catch (const Error& error) {
    if (is_ours(error.kind())) {
      if (!request_.dry_run) watch_.save();  // what was seen of upstream is true even so
      throw;
    }
    if (is_retryable(error.kind())) down_ = error.what();
    failures_.push_back({.reason = error.what()});
  }
  settle();
  return result();
}

Json::Object RepositoryMirror::give_up(const std::string& reason) {
  failures_.push_back({.reason = reason});
  settle();
  return result();
}

void RepositoryMirror::mirror_from(std::size_t upstream) {
  synced_.clear();
  skipped_.clear();
  failures_.clear();
  choices_.clear();
  is_asked_ = false;
  watch_.listen_to(request_.upstreams, upstream);
  SyncSession& session = sessions_.at(upstream);
  session.start_evidence(false);
  session.reporter().phase("listing");
  const std::vector<storage::Ref> refs = ask_refs(session, upstream > 0);
  if (gone_.empty()) choose(session, refs);
  is_asked_ = true;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    // What is asked for from here on is evidence of this revision alone.
    if (i > 0) sessions_.at(upstream).start_evidence(true);
    if (mirror_revision(upstream, choices_[i])) continue;
    for (std::size_t rest = i + 1; rest < choices_.size(); ++rest) {
      add_failure(choices_[rest], "not asked for: upstream is down");
    }
    return;
  }
  check_listed(upstream);
}

// A fallback may be behind the upstream whose list told that there is news. That is not passed by.
void RepositoryMirror::check_listed(std::size_t upstream) {
  if (upstream == 0 || !listed_) return;
  const bool is_wanted = std::ranges::any_of(choices_, [&](const RevisionChoice& choice) {
    return choice.ref && choice.ref == default_ref_ && choice.commit != *listed_;
  });
  if (!is_wanted || store_.catalog().find_revision(repo_, *listed_)) return;
  failures_.push_back({.revision = default_ref_->name,
                       .commit = listed_,
                       .reason = request_.upstreams.front().name + " listed it and is down, " +
                                 request_.upstreams[upstream].name + " does not have it"});
}

// What we hold of a repository that upstream has no more is no hole: there is nothing to fetch.
std::vector<storage::Ref> RepositoryMirror::ask_refs(SyncSession& session, bool fallback) {
  const bool pull_requests =
      std::ranges::any_of(request_.rule.revisions,
                          [](const std::string& glob) { return glob.starts_with("refs/pr/"); });
  try {
    auto refs = session.upstream().refs(repo_, pull_requests);
    watch_.saw_refs(refs);
    return refs;
  } catch (const Error& error) {
    const bool held = store_.catalog().find_repository(repo_).has_value();
    if (error.kind() != ErrorKind::NotFound || fallback || !held) throw;
    watch_.saw_nothing(error.what());
    gone_ = error.what();
    return {};
  }
}

void RepositoryMirror::choose(SyncSession& session, std::span<const storage::Ref> refs) {
  if (const auto choice = choose_revision(refs, "")) default_ref_ = choice->ref;
  if (request_.rule.revisions.empty()) {
    const RevisionChoice choice = ask_choice(sync_request({}), session, refs);
    default_ref_ = choice.ref;
    choices_ = {choice};
    return;
  }
  const ChosenRefs chosen = choose_refs(refs, request_.rule.revisions);
  for (const std::string& word : chosen.missing) {
    failures_.push_back({.revision = word, .reason = "no branch or tag '" + word + "' upstream"});
  }
  for (const storage::Ref& ref : chosen.refs) {
    RevisionChoice choice{.commit = ref.commit, .ref = {}};
    if (!ref.name.empty()) choice.ref = ref;
    choices_.push_back(std::move(choice));
  }
}

SyncRequest RepositoryMirror::sync_request(const RevisionChoice& choice) const {
  const MirrorRule& rule = request_.rule;
  SyncRequest out{.repo = repo_, .selection = selection_of(rule)};
  // "" says that this is the default branch.
  if (choice.commit != GitOid{} && choice.ref != default_ref_) out.revision = name_of(choice);
  out.limits = {.size_bytes_max = rule.size_bytes_max, .licenses = rule.licenses};
  out.git = !rule.cards_only;
  out.full_history = rule.full_history;
  out.dry_run = request_.dry_run;
  out.force = request_.force;
  return out;
}

bool RepositoryMirror::mirror_revision(std::size_t upstream, const RevisionChoice& choice) {
  const bool last = upstream + 1 == request_.upstreams.size();
  SyncSession& session = sessions_.at(upstream);
  SyncRequest request = sync_request(choice);
  request.upstream = session.config();
  try {
    synced_.emplace_back(sync_revision({.request = request,
                                        .choice = choice,
                                        .fallback = upstream > 0,
                                        .requests_before = session.requests()},
                                       session, watch_));
  } catch (const LeftOut& left_out) {
    watch_.skipped(name_of(choice), choice.commit, left_out.what());
    skipped_.emplace_back(Json::Object{{"revision", name_of(choice)},
                                       {"commit", to_hex(choice.commit)},
                                       {"reason", left_out.what()}});
  } catch (const Error& error) {
    const bool down = is_retryable(error.kind());
    if (is_ours(error.kind()) || (down && !last)) throw;
    add_failure(choice, error.what());
    if (down) down_ = error.what();
    return !down;
  }
  return true;
}

void RepositoryMirror::add_failure(const RevisionChoice& choice, const std::string& reason) {
  failures_.push_back({.revision = name_of(choice), .commit = choice.commit, .reason = reason});
}

void RepositoryMirror::settle() {
  if (request_.dry_run) return;
  for (const Failure& failure : failures_) {
    context_.log("hole: " + to_text(repo_) + " " + failure.revision + ": " + failure.reason);
  }
  settle_holes(store_.catalog(), watch_, failures_, is_asked_);
  // A commit that the rule itself names stays, whatever the branches do.
  std::set<GitOid> named;
  for (const RevisionChoice& choice : choices_) named.insert(choice.commit);
  expired_ = expire_beyond(store_.catalog(), watch_, request_.rule.keep, named);
  watch_.save();
}

Json::Object RepositoryMirror::result() const {
  Json::Array holes, expired;
  for (const Failure& failure : failures_) holes.emplace_back(to_json(failure));
  for (const GitOid& commit : expired_) expired.emplace_back(to_hex(commit));
  return {{"repo", to_text(repo_)},
          {"revisions", synced_},
          {"skipped", skipped_},
          {"holes", std::move(holes)},
          {"gone", gone_.empty() ? Json() : Json(gone_)},
          {"answered", is_answered() ? 1 : 0},
          {"down", down_.empty() ? Json() : Json(down_)},
          {"expired", std::move(expired)},
          {"bytes_fetched", sum_of(synced_, "bytes_fetched")},
          {"bytes_to_fetch", sum_of(synced_, "bytes_to_fetch")},
          {"requests", sessions_.requests() - requests_before_}};
}

}  // namespace holdfast::mirror
