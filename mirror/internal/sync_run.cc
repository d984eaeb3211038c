#include "mirror/internal/sync_run.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <unordered_map>
#include <utility>

#include "mirror/download.h"
#include "mirror/git_history.h"
#include "mirror/history.h"
#include "mirror/internal/card.h"
#include "mirror/internal/history_held.h"
#include "mirror/internal/left_out.h"
#include "mirror/internal/ref_move.h"
#include "mirror/internal/room.h"
#include "mirror/sync_plan.h"
#include "mirror/url.h"
#include "storage/base/error.h"
#include "storage/git/objects.h"
#include "storage/scans.h"
#include "storage/spool.h"

namespace holdfast::mirror {
namespace {

class SyncRun {
 public:
  SyncRun(const RevisionSync& job, SyncSession& session, UpstreamWatch& watch)
      : request_(job.request),
        requests_before_(job.requests_before),
        session_(session),
        store_(session.store()),
        context_(session.context()),
        upstream_(session.upstream()),
        watch_(watch),
        choice_(job.choice),
        ref_move_({.request = request_,
                   .fallback = job.fallback,
                   .session = session,
                   .watch = watch,
                   .choice = choice_}) {}

  Json::Object run() {
    ref_move_.settle();
    if (!request_.force && is_current()) return keep_current();
    list();
    if (request_.dry_run) return dry_result();
    if (request_.arrival != nullptr) request_.arrival->listed(arriving());
    fetch();
    session_.reporter().phase("publishing");
    publish();
    return result();
  }

 private:
  std::vector<GitOid> parents() const;
  std::optional<std::string> default_branch() const;
  bool is_current();
  bool can_upgrade();
  void ask_git();
  bool lacks_past(const storage::RevisionRecord& revision) const;

  GitDepth depth() const { return request_.full_history ? GitDepth::Full : GitDepth::Tip; }

  void take_past(storage::Publication& publication, History& history);
  Json::Object keep_current();
  void list();
  void take_git();
  ArrivingListing arriving() const;
  void fetch();
  History history_from_listing(Json::Object& evidence);
  History make_history(Json::Object& evidence);
  void publish();
  storage::RepositoryRecord repository() const;
  storage::Selection selection() const;
  StoredObjects stored_objects() const;
  Json::Object result() const;
  Json::Object dry_result() const;

  const SyncRequest& request_;
  std::uint64_t requests_before_;
  SyncSession& session_;
  storage::Store& store_;
  storage::JobContext& context_;
  Upstream& upstream_;
  UpstreamWatch& watch_;

  RevisionChoice choice_;
  RefMove ref_move_;
  RemoteRevision revision_;
  RemoteCommit commit_;
  std::vector<RemoteEntry> listing_;
  std::optional<RemoteGit> git_;
  std::string why_no_git_;
  SyncPlan plan_;
  std::vector<storage::FileRecord> files_;
  DownloadResult downloaded_;
  bool already_current_ = false;
};

// Of the chosen commit, as far as they are known.
std::vector<GitOid> SyncRun::parents() const {
  if (!git_ || !git_->objects.contains(choice_.commit)) return commit_.parents;
  return storage::git::parse_commit(git_->objects.at(choice_.commit).bytes).parents;
}

// Upstream's, where that is what is synced.
std::optional<std::string> SyncRun::default_branch() const {
  constexpr std::string_view kBranches = "refs/heads/";
  const auto& ref = choice_.ref;
  if (!request_.revision.empty() || !ref || !ref->name.starts_with(kBranches)) return std::nullopt;
  return ref->name.substr(kBranches.size());
}

bool SyncRun::is_current() {
  const storage::Catalog& catalog = store_.catalog();
  const auto known = catalog.find_repository(request_.repo);
  // Only a publication says that another branch is the default now.
  if (known && default_branch().value_or(known->default_branch) != known->default_branch) {
    return false;
  }
  const auto revision = catalog.find_revision(request_.repo, choice_.commit);
  if (!revision) return false;
  // A card that came alone: of other files nothing is known here.
  if (revision->selection == card_selection() && request_.selection != revision->selection) {
    return false;
  }
  // It came by the listing alone: brought up to upstream's own history as soon as there is one.
  if (revision->git_commit != revision->commit && !request_.dry_run && request_.git) {
    if (can_upgrade()) return false;
  }
  if (lacks_past(*revision)) return false;
  files_ = catalog.files(request_.repo, choice_.commit, "");
  return std::ranges::all_of(files_, [&](const storage::FileRecord& file) {
    // An object found damaged counts as not stored: it is fetched again.
    if (file.object) return store_.blobs().find(*file.object).has_value();
    return !request_.selection.selects(file.path);
  });
}

// The commits before it are asked for now, and were not when it came.
bool SyncRun::lacks_past(const storage::RevisionRecord& revision) const {
  return request_.full_history && request_.git && !request_.dry_run &&
         revision.git_commit == revision.commit &&
         !store_.catalog().find_fact(request_.repo, choice_.commit, kPastFact);
}

// A past that cannot be had (too large, refused, no room) must not cost the commit itself.
void SyncRun::ask_git() {
  git_ = upstream_.git(request_.repo, choice_.commit, depth(), why_no_git_);
  if (git_ || !request_.full_history) return;
  context_.log("git: " + why_no_git_ + "; without the commits before");
  git_ = upstream_.git(request_.repo, choice_.commit, GitDepth::Tip, why_no_git_);
}

// What git says must fit what is served already; otherwise that stays as it is.
bool SyncRun::can_upgrade() {
  try {
    ask_git();
    if (!git_) return false;
    auto files = store_.catalog().files(request_.repo, choice_.commit, "");
    history_from_git(*git_, choice_.commit, files);
    return true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Cancelled) throw;
    context_.log("git: " + std::string(error.what()) + "; the revision stays as it came");
    git_.reset();
    return false;
  }
}

Json::Object SyncRun::keep_current() {
  already_current_ = true;
  if (choice_.ref && !request_.dry_run) {
    ref_move_.write(parents(), [this](auto expects, auto refs) {
      if (!std::ranges::equal(expects, refs)) {
        store_.catalog().change_refs(request_.repo, expects, refs);
      }
    });
  }
  Json::Object out = result();
  if (request_.dry_run) {
    out.set("plan", Json::Array());
    out.set("bytes_to_fetch", 0U);
  }
  return out;
}

StoredObjects SyncRun::stored_objects() const {
  storage::Store& store = store_;
  return {.has = [&store](const Digest& d) { return store.blobs().find(d).has_value(); },
          .of_blob = [&store](const GitOid& blob) -> std::optional<Digest> {
            const auto object = store.catalog().find_blob_object(blob);
            if (!object || !store.blobs().find(*object)) return std::nullopt;
            return object;
          },
          .served =
              [this](std::string_view path) {
                const auto file = store_.catalog().find_file(request_.repo, choice_.commit, path);
                return file && file->object;
              }};
}

void SyncRun::list() {
  const std::string commit = to_hex(choice_.commit);
  revision_ = upstream_.revision(request_.repo, commit);
  if (revision_.commit != choice_.commit) {
    fail(ErrorKind::Corrupt, to_text(request_.repo) + ": asked for commit " + commit +
                                 ", upstream describes " + to_hex(revision_.commit));
  }
  if (!revision_.name.empty() && revision_.name != request_.repo.full_name()) {
    context_.log("upstream calls the repository " + revision_.name);
  }
  watch_.saw_info(revision_);
  check_license(request_, choice_.commit, revision_.info);
  listing_ = upstream_.tree(request_.repo, choice_.commit);
  plan_ = make_sync_plan(listing_, request_.selection, stored_objects());
  check_size(request_, choice_.commit, plan_.selected_bytes);
  if (request_.dry_run) return;
  // Before git brings anything either; what a download staged before this is not written again.
  check_room(store_.directory(), plan_.fetch_bytes, storage::staged_bytes(store_));
  take_git();
  // git brought the small files.
  if (git_) plan_ = make_sync_plan(listing_, request_.selection, stored_objects());
}

// Before anything is downloaded that could not be published.
void check_listing(const RemoteGit& git, const GitOid& commit,
                   std::span<const RemoteEntry> listing) {
  std::vector<storage::FileRecord> files;
  for (const RemoteEntry& entry : listing) {
    if (!entry.directory) files.push_back({.path = entry.path, .blob = entry.oid});
  }
  history_from_git(git, commit, files);
}

// Upstream's own git objects; the small files among them need not be asked for one by one.
void SyncRun::take_git() {
  if (!request_.git) {
    why_no_git_ = "not asked for";
    return;
  }
  if (!git_) ask_git();
  if (!git_) {
    context_.log("git: " + why_no_git_ + "; the listing has to do");
    return;
  }
  check_listing(*git_, choice_.commit, listing_);
  std::vector<GitOid> blobs;
  std::vector<std::span<const std::byte>> contents;
  for (const RemoteEntry& entry : listing_) {
    const auto blob = git_->objects.find(entry.oid);
    if (entry.directory || entry.lfs || blob == git_->objects.end()) continue;
    if (!request_.selection.selects(entry.path)) continue;
    blobs.push_back(entry.oid);
    contents.push_back(as_bytes(blob->second.bytes));
  }
  if (blobs.empty()) return;
  const std::vector<Digest> digests = store_.blobs().put_all(contents);
  std::vector<std::pair<GitOid, Digest>> known;
  for (std::size_t i = 0; i < blobs.size(); ++i) known.emplace_back(blobs[i], digests[i]);
  store_.catalog().remember_blobs(known);
}

// What will be published, as far as the listing tells.
ArrivingListing SyncRun::arriving() const {
  ArrivingListing out{.repository = repository()};
  for (const PlannedFile& planned : plan_.files) out.files.push_back(planned.file);
  if (git_) {
    out.history = history_from_git(*git_, choice_.commit, out.files);
  } else {
    settle_modes(out.files, plan_.directories);
    out.history = rebuild_history(out.files, revision_, {});
  }
  for (std::size_t i = 0; i < out.files.size(); ++i) {
    storage::FileRecord& file = out.files[i];
    if (plan_.files[i].fate != Fate::NotSelected && !file.object) file.object = stand_in(file.blob);
  }
  out.revision = {.commit = choice_.commit,
                  .git_commit = out.history.git_commit,
                  .tree = out.history.tree,
                  .time = revision_.time,
                  .title = out.history.title,
                  .stored_at = out.repository.updated_at,
                  .selection = selection()};
  if (choice_.ref) out.refs.push_back(*choice_.ref);
  return out;
}

void SyncRun::fetch() {
  std::vector<storage::FileRecord> wanted;
  for (const PlannedFile& planned : plan_.files) {
    if (planned.fate == Fate::Fetch) wanted.push_back(planned.file);
  }
  const SyncTuning& tuning = session_.config().tuning;
  const auto& bandwidth = session_.config().bandwidth;
  downloaded_ =
      download(wanted, upstream_, store_,
               {.repo = request_.repo,
                .commit = choice_.commit,
                .workers = tuning.workers,
                .part_bytes = tuning.part_bytes,
                .checkpoint_every = tuning.checkpoint_every,
                .pauser = tuning.pauser,
                .stop = session_.stop(),
                // Of the commit alone: whether the past fits is asked when all files are here.
                .catalog_bytes = git_ ? bytes_not_held(store_.catalog(), arriving().history) : 0,
                .report = [&](const storage::Progress& p) { session_.reporter().report(p); },
                .arrival = request_.arrival,
                .staging = session_.config().staging,
                .rivals = &session_.rivals(),
                .race_patience = tuning.race_patience,
                .race_by_rate = !bandwidth || !bandwidth->limits()});
  files_.clear();
  std::unordered_map<GitOid, Digest> by_blob;
  for (std::size_t i = 0; i < wanted.size(); ++i) by_blob[wanted[i].blob] = downloaded_.objects[i];
  for (const PlannedFile& planned : plan_.files) {
    files_.push_back(planned.file);
    const bool fetched = planned.fate == Fate::Fetch || planned.fate == Fate::Duplicate;
    if (fetched && !planned.file.lfs) files_.back().object = by_blob.at(planned.file.blob);
  }
}

storage::RepositoryRecord SyncRun::repository() const {
  const Time now = std::chrono::system_clock::now();
  storage::RepositoryRecord record =
      store_.catalog()
          .find_repository(request_.repo)
          .value_or(storage::RepositoryRecord{
              .id = request_.repo, .default_branch = "main", .created_at = now});
  record.origin = origin(parse_url(request_.upstream.endpoint));
  record.default_branch = default_branch().value_or(record.default_branch);
  record.gated = revision_.gated;
  record.updated_at = now;
  record.upstream_info = revision_.info;
  return record;
}

// A revision that is published again keeps what it had.
storage::Selection SyncRun::selection() const {
  const auto known = store_.catalog().find_revision(request_.repo, choice_.commit);
  return known ? widest(known->selection, request_.selection) : request_.selection;
}

// What can be made again where upstream offers no git.
History SyncRun::history_from_listing(Json::Object& evidence) {
  commit_ = upstream_.commit(request_.repo, choice_.commit);
  const auto unexplained = settle_modes(files_, plan_.directories);
  for (const std::string& path : unexplained) {
    context_.log("tree id of '" + path + "' does not follow from the listing");
  }
  evidence.set("trees_unexplained", Json::Array(unexplained.begin(), unexplained.end()));
  return rebuild_history(files_, revision_, commit_);
}

History SyncRun::make_history(Json::Object& evidence) {
  if (git_) {
    evidence.set("git_objects", "fetched");
    return history_from_git(*git_, choice_.commit, files_);
  }
  evidence.set("git_not_fetched", why_no_git_);
  if (auto held = history_held(store_.catalog(), request_.repo, choice_.commit, files_)) {
    evidence.set("git_objects", "kept");
    return *std::move(held);
  }
  History history = history_from_listing(evidence);
  evidence.set("git_objects", history.genuine ? "genuine" : "rebuilt");
  return history;
}

// A history with a gap is none: the revision is then published as a shallow one.
void SyncRun::take_past(storage::Publication& publication, History& history) {
  if (!request_.full_history || !git_) return;
  try {
    const std::size_t tip_objects = history.objects.size();
    Json::Array past;
    for (const GitOid& oid : add_past(*git_, choice_.commit, files_, history)) {
      past.emplace_back(to_hex(oid));
    }
    check_room(store_.directory(), bytes_not_held(store_.catalog(), history));
    context_.log("git: " + std::to_string(past.size()) + " commits before this one, " +
                 std::to_string(history.objects.size() - tip_objects) + " objects more");
    publication.facts.emplace_back(kPastFact, std::move(past));
  } catch (const Error& error) {
    context_.log("git: " + std::string(error.what()) + "; the history is left out");
    history.objects = history_from_git(*git_, choice_.commit, files_).objects;
    publication.facts.emplace_back(kPastFact, Json::Array());  // not to be asked for at every look
  }
}

void SyncRun::publish() {
  Json::Object git_evidence;
  History history = make_history(git_evidence);
  Json::Object evidence = session_.evidence();
  evidence.set("commit", to_hex(choice_.commit));
  for (const auto& [key, value] : git_evidence) evidence.set(key, value);
  storage::Publication publication;
  take_past(publication, history);
  publication.repository = repository();
  publication.revision = {.commit = choice_.commit,
                          .git_commit = history.git_commit,
                          .tree = history.tree,
                          .time = revision_.time,
                          .title = history.title,
                          .stored_at = publication.repository.updated_at,
                          .selection = selection()};
  publication.files = files_;
  publication.git_objects = std::move(history.objects);
  publication.evidence = storage::Evidence{.record = std::move(evidence)};
  publication.leases = downloaded_.leases;
  ref_move_.write(parents(), [&](auto expects, auto refs) {
    publication.expected_refs.assign(expects.begin(), expects.end());
    publication.refs.assign(refs.begin(), refs.end());
    store_.catalog().publish(publication);
  });
  watch_.emit(EventKind::SyncDone, {{"revision", choice_.ref ? choice_.ref->name : ""},
                                    {"commit", to_hex(choice_.commit)},
                                    {"bytes_fetched", downloaded_.fetched_bytes}});
  storage::request_scan(store_, request_.repo, choice_.commit);
  watch_.save();  // whatever becomes of the other revisions
}

Json::Object SyncRun::result() const {
  std::uint64_t files = 0, bytes = 0;
  for (const storage::FileRecord& file : files_) {
    if (!file.object) continue;
    ++files;
    bytes += file.size_bytes;
  }
  return {{"repo", to_text(request_.repo)},
          {"commit", to_hex(choice_.commit)},
          {"ref", choice_.ref ? Json(choice_.ref->name) : Json()},
          {"files", files},
          {"bytes_total", bytes},
          {"bytes_fetched", downloaded_.fetched_bytes},
          {"requests", session_.requests() - requests_before_},
          {"upstream", session_.config().name},
          {"already_current", already_current_}};
}

Json::Object SyncRun::dry_result() const {
  Json::Object out = result();
  Json::Array rows;
  for (const PlannedFile& planned : plan_.files) {
    if (planned.fate != Fate::Fetch) continue;
    rows.emplace_back(Json::Object{
        {"path", planned.file.path}, {"size", planned.file.size_bytes}, {"why", "not stored"}});
  }
  out.set("files", plan_.selected_files);
  out.set("bytes_total", plan_.selected_bytes);
  out.set("plan", std::move(rows));
  out.set("bytes_to_fetch", plan_.fetch_bytes);
  return out;
}

}  // namespace

void check_origin(const SyncRequest& request, const storage::Catalog& catalog) {
  const auto known = catalog.find_repository(request.repo);
  if (!known || request.force || known->origin.find("://") != std::string::npos) return;
  fail(ErrorKind::Conflict, to_text(request.repo) + ": origin is '" + known->origin +
                                "', not an upstream; --force mirrors over it");
}

RevisionChoice ask_choice(const SyncRequest& request, SyncSession& session,
                          std::span<const storage::Ref> refs) {
  if (const auto choice = choose_revision(refs, request.revision)) return *choice;
  // A short commit id, or a default branch that the refs alone do not tell.
  const std::string word = request.revision == "HEAD" ? "" : request.revision;
  RevisionChoice choice{.commit = session.upstream().revision(request.repo, word).commit,
                        .ref = {}};
  if (!word.empty()) return choice;
  // Of several that name it, the one that was the default before.
  const auto known = session.store().catalog().find_repository(request.repo);
  for (const storage::Ref& ref : refs) {
    if (ref.commit != choice.commit || !ref.name.starts_with("refs/heads/")) continue;
    const bool was_default = known && ref.name == "refs/heads/" + known->default_branch;
    if (!choice.ref || was_default) choice.ref = ref;
  }
  return choice;
}

Json::Object sync_revision(const RevisionSync& job, SyncSession& session, UpstreamWatch& watch) {
  return SyncRun(job, session, watch).run();
}

}  // namespace holdfast::mirror
