#include "mirror/sync.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>

#include "mirror/download.h"
#include "mirror/git_history.h"
#include "mirror/history.h"
#include "mirror/hub_upstream.h"
#include "mirror/internal/revision_choice.h"
#include "mirror/sync_plan.h"
#include "mirror/url.h"
#include "storage/base/error.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {
namespace {

// Progress of one sync: phases come from its own thread, notes from any.
class Reporter {
 public:
  explicit Reporter(storage::JobContext& context)
      : context_(context), owner_(std::this_thread::get_id()) {}

  void phase(std::string_view name) {
    progress_ = {};
    progress_.phase = name;
    send();
  }

  void report(const storage::Progress& progress) {
    progress_ = progress;
    send();
  }

  void note(std::string_view text) {
    const bool is_new = std::exchange(*note_.lock(), std::string(text)) != text;
    // Only the sync's own thread reports; the workers' notes go out with its next report.
    if (is_new && std::this_thread::get_id() == owner_) send();
  }

 private:
  void send() {
    progress_.note = *note_.lock();
    context_.report(progress_);
    if (!progress_.note.empty() && progress_.note != logged_) context_.log(progress_.note);
    logged_ = progress_.note;
  }

  storage::JobContext& context_;
  std::thread::id owner_;
  storage::Progress progress_;  // owner's thread only
  std::string logged_;          // owner's thread only
  Sync<std::string> note_;
};

HubOptions hub_options(const UpstreamConfig& config, const std::stop_token& stop,
                       Reporter& reporter) {
  HubOptions options;
  options.http = {.endpoint = parse_url(config.endpoint),
                  .token = config.token,
                  .proxy = config.proxy,
                  .ca_file = config.ca_file,
                  .redirect_hosts = config.redirect_hosts,
                  .offline = config.offline,
                  .connect_timeout = config.tuning.connect_timeout,
                  .stall_window = config.tuning.stall_window};
  options.retry = config.tuning.retry;
  options.pauser = config.tuning.pauser;
  options.stop = stop;
  options.note = [&reporter](std::string_view text) { reporter.note(text); };
  return options;
}

class SyncRun {
 public:
  SyncRun(const SyncRequest& request, storage::Store& store, storage::JobContext& context)
      : request_(request),
        store_(store),
        context_(context),
        on_stop_(context.stop(), [this] { stop_.request_stop(); }),
        reporter_(context),
        upstream_(make_hub_upstream(hub_options(request.upstream, stop_.get_token(), reporter_))) {}

  Json::Object run() {
    check_origin();
    reporter_.phase("listing");
    choose();
    if (!request_.force && is_current()) return keep_current();
    list();
    if (request_.dry_run) return dry_result();
    fetch();
    reporter_.phase("publishing");
    publish();
    return result();
  }

 private:
  void check_origin() const;
  void choose();
  bool is_current();
  bool can_upgrade();
  Json::Object keep_current();
  void list();
  void take_git();
  void fetch();
  History history_from_listing(Json::Object& evidence);
  void publish();
  storage::RepositoryRecord repository() const;
  StoredObjects stored_objects() const;
  Json::Object result() const;
  Json::Object dry_result() const;

  const SyncRequest& request_;
  storage::Store& store_;
  storage::JobContext& context_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> on_stop_;
  Reporter reporter_;
  std::unique_ptr<Upstream> upstream_;

  RevisionChoice choice_;
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

// What is here under this name and did not come from an upstream is not replaced in passing.
void SyncRun::check_origin() const {
  const auto known = store_.catalog().find_repository(request_.repo);
  if (!known || request_.force || known->origin.find("://") != std::string::npos) return;
  fail(ErrorKind::Conflict, to_text(request_.repo) + ": origin is '" + known->origin +
                                "', not an upstream; --force mirrors over it");
}

void SyncRun::choose() {
  const bool pull_requests = request_.revision.starts_with("refs/pr/");
  const std::vector<storage::Ref> refs = upstream_->refs(request_.repo, pull_requests);
  if (const auto choice = choose_revision(refs, request_.revision)) {
    choice_ = *choice;
    return;
  }
  // A short commit id, or a default branch that the refs alone do not tell.
  const std::string word = request_.revision == "HEAD" ? "" : request_.revision;
  choice_.commit = upstream_->revision(request_.repo, word).commit;
  if (!word.empty()) return;
  const auto branch = std::ranges::find_if(refs, [&](const storage::Ref& ref) {
    return ref.commit == choice_.commit && ref.name.starts_with("refs/heads/");
  });
  if (branch != refs.end()) choice_.ref = *branch;
}

bool SyncRun::is_current() {
  const storage::Catalog& catalog = store_.catalog();
  const auto revision = catalog.find_revision(request_.repo, choice_.commit);
  if (!revision) return false;
  // It came by the listing alone: brought up to upstream's own history as soon as there is one.
  if (revision->git_commit != revision->commit && !request_.dry_run) {
    if (can_upgrade()) return false;
  }
  files_ = catalog.files(request_.repo, choice_.commit, "");
  return std::ranges::all_of(files_, [&](const storage::FileRecord& file) {
    // An object found damaged counts as not stored: it is fetched again.
    if (file.object) return store_.blobs().find(*file.object).has_value();
    return !request_.selection.selects(file.path);
  });
}

// What git says must fit what is served already; otherwise that stays as it is.
bool SyncRun::can_upgrade() {
  git_ = upstream_->git(request_.repo, choice_.commit, why_no_git_);
  if (!git_) return false;
  try {
    auto files = store_.catalog().files(request_.repo, choice_.commit, "");
    history_from_git(*git_, choice_.commit, files);
    return true;
  } catch (const Error& error) {
    context_.log("git: " + std::string(error.what()) + "; the revision stays as it came");
    git_.reset();
    return false;
  }
}

Json::Object SyncRun::keep_current() {
  already_current_ = true;
  const auto refs = store_.catalog().refs(request_.repo);
  if (choice_.ref && !request_.dry_run && std::ranges::find(refs, *choice_.ref) == refs.end()) {
    store_.catalog().set_refs(request_.repo, {&*choice_.ref, 1});
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
  revision_ = upstream_->revision(request_.repo, commit);
  if (revision_.commit != choice_.commit) {
    fail(ErrorKind::Corrupt, to_text(request_.repo) + ": asked for commit " + commit +
                                 ", upstream describes " + to_hex(revision_.commit));
  }
  if (!revision_.name.empty() && revision_.name != request_.repo.full_name()) {
    context_.log("upstream calls the repository " + revision_.name);
  }
  listing_ = upstream_->tree(request_.repo, choice_.commit);
  if (!request_.dry_run) take_git();
  plan_ = make_sync_plan(listing_, request_.selection, stored_objects());
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
  if (!git_) git_ = upstream_->git(request_.repo, choice_.commit, why_no_git_);
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

void SyncRun::fetch() {
  std::vector<storage::FileRecord> wanted;
  for (const PlannedFile& planned : plan_.files) {
    if (planned.fate == Fate::Fetch) wanted.push_back(planned.file);
  }
  const SyncTuning& tuning = request_.upstream.tuning;
  downloaded_ = download(wanted, *upstream_, store_,
                         {.repo = request_.repo,
                          .commit = choice_.commit,
                          .workers = tuning.workers,
                          .part_bytes = tuning.part_bytes,
                          .checkpoint_every = tuning.checkpoint_every,
                          .pauser = tuning.pauser,
                          .stop = stop_,
                          .report = [&](const storage::Progress& p) { reporter_.report(p); }});
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
  constexpr std::string_view kBranches = "refs/heads/";
  if (request_.revision.empty() && choice_.ref && choice_.ref->name.starts_with(kBranches)) {
    record.default_branch = choice_.ref->name.substr(kBranches.size());
  }
  record.gated = revision_.gated;
  record.updated_at = now;
  record.upstream_info = revision_.info;
  return record;
}

// What can be made again where upstream offers no git.
History SyncRun::history_from_listing(Json::Object& evidence) {
  commit_ = upstream_->commit(request_.repo, choice_.commit);
  const auto unexplained = settle_modes(files_, plan_.directories);
  for (const std::string& path : unexplained) {
    context_.log("tree id of '" + path + "' does not follow from the listing");
  }
  evidence.set("git_not_fetched", why_no_git_);
  evidence.set("trees_unexplained", Json::Array(unexplained.begin(), unexplained.end()));
  return rebuild_history(files_, revision_, commit_);
}

void SyncRun::publish() {
  Json::Object git_evidence;
  History history =
      git_ ? history_from_git(*git_, choice_.commit, files_) : history_from_listing(git_evidence);
  Json::Object evidence = upstream_->evidence();
  evidence.set("commit", to_hex(choice_.commit));
  evidence.set("git_objects", git_ ? "fetched" : history.genuine ? "genuine" : "rebuilt");
  for (auto& [key, value] : git_evidence) evidence.set(key, std::move(value));
  storage::Publication publication;
  publication.repository = repository();
  publication.revision = {.commit = choice_.commit,
                          .git_commit = history.git_commit,
                          .tree = history.tree,
                          .time = revision_.time,
                          .title = history.title,
                          .stored_at = publication.repository.updated_at,
                          .selection = request_.selection};
  publication.files = files_;
  publication.git_objects = std::move(history.objects);
  if (choice_.ref) publication.refs.push_back(*choice_.ref);
  publication.evidence = storage::Evidence{.record = std::move(evidence)};
  publication.leases = downloaded_.leases;
  store_.catalog().publish(publication);
  const std::string repo = to_text(request_.repo), commit = to_hex(choice_.commit);
  store_.jobs().enqueue("scan", repo + "@" + commit, {{"repo", repo}, {"commit", commit}});
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
          {"requests", upstream_->requests()},
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

Json::Object sync(const SyncRequest& request, storage::Store& store, storage::JobContext& context) {
  return SyncRun(request, store, context).run();
}

}  // namespace holdfast::mirror
