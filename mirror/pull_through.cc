#include "mirror/pull_through.h"

#include <algorithm>
#include <exception>
#include <span>
#include <utility>

#include "mirror/hub_upstream.h"
#include "mirror/internal/arriving.h"
#include "mirror/limits.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

using storage::Pull;
using storage::PullRefusal;
using Watchers = std::list<std::function<void()>>;

std::string key_of(const storage::RepoId& repo, std::string_view revision) {
  return to_text(repo) + "@" + std::string(revision);
}

// What clients are told; the job has the rest. Nothing that is served points outside.
struct FailureRow {
  ErrorKind kind;
  int status;
  std::chrono::seconds kept;
  const char* message;
};

constexpr FailureRow kFailures[] = {
    {ErrorKind::NotFound, 404, kRefusalKept, "Upstream has no such repository or revision"},
    {ErrorKind::Denied, 403, kRefusalKept, "This hub may not fetch that from upstream"},
    {ErrorKind::Unavailable, 502, kFailureKept, "Upstream is down"},
    {ErrorKind::Timeout, 504, kFailureKept, "Upstream does not answer"},
    {ErrorKind::NoSpace, 507, kFailureKept, "This hub's disk is full"},
    {ErrorKind::Cancelled, 503, kFailureKept, "The fetch was stopped"},
};
constexpr FailureRow kOtherFailure = {ErrorKind::Corrupt, 502, kFailureKept,
                                      "What upstream sent cannot be used"};

FailureRow row_for(ErrorKind kind) noexcept {
  const auto* const found = std::ranges::find(kFailures, kind, &FailureRow::kind);
  return found == std::end(kFailures) ? kOtherFailure : *found;
}

// What a client is told. That upstream hides a repository from us means that it is not here; that
// it is gated is passed on as upstream said it.
PullRefusal refusal_of(const Error& error) {
  const FailureRow row = row_for(error.kind());
  PullRefusal refusal{.status = row.status, .code = "", .message = row.message};
  const auto* const said = dynamic_cast<const UpstreamRefusal*>(&error);
  if (said == nullptr) return refusal;
  refusal.code = said->code();
  if (refusal.code == "GatedRepo") refusal.status = said->status();
  if (refusal.code == "RepoNotFound") refusal.status = 404;
  if (!said->words().empty()) refusal.message = said->words();
  return refusal;
}

}  // namespace

// One pull from the first question to its end. Its sync reports to it; requests look at it.
class PullThrough::Entry final : public ArrivalWatch {
 public:
  Entry(storage::Store& store, std::shared_ptr<Sync<Watchers>> watchers)
      : store_(store), watchers_(std::move(watchers)) {}

  Pull pull() {
    auto state = state_.lock();
    return {.arriving = state->arriving, .refusal = state->refusal};
  }

  bool answers_to(std::string_view name) {
    const auto arriving = state_.lock()->arriving;
    return arriving && arriving->answers_to(name);
  }

  bool is_refused() { return state_.lock()->refusal.has_value(); }

  // Upstream has not said yet what there is.
  bool is_waiting() {
    auto state = state_.lock();
    return !state->refusal && !state->arriving;
  }

  // Upstream has no such repository, whatever the revision.
  bool lacks_repository() {
    auto state = state_.lock();
    return state->refusal && state->refusal->code == "RepoNotFound";
  }

  storage::JobId job() { return state_.lock()->job; }

  void set_job(storage::JobId id) { state_.lock()->job = id; }

  bool is_over(Time now) {
    auto state = state_.lock();
    return state->refusal && now >= state->kept_until;
  }

  void refuse(const Error& error, Time now) {
    std::shared_ptr<Arriving> arriving;
    {
      auto state = state_.lock();
      arriving = std::exchange(state->arriving, nullptr);
      state->refusal = refusal_of(error);
      state->kept_until = now + row_for(error.kind()).kept;
    }
    if (arriving) arriving->end(error.kind(), error.what());
    changed();
  }

  void changed() noexcept {
    auto watchers = watchers_->lock();
    for (const auto& watcher : *watchers) watcher();
  }

  void listed(ArrivingListing listing) override {
    auto arriving = std::make_shared<Arriving>(std::move(listing), store_);
    const auto before = std::exchange(state_.lock()->arriving, std::move(arriving));
    // The upstream before this one went away in the middle.
    if (before) before->end(ErrorKind::Unavailable, "the upstream that sent this is down");
    changed();
  }

  void staged(const GitOid& blob, std::shared_ptr<const storage::BlobReader> bytes) override {
    arriving()->staged(blob, std::move(bytes));
    changed();
  }

  void advanced() noexcept override { changed(); }

  void spoiled(const GitOid& blob) override {
    arriving()->spoiled(blob);
    changed();
  }

  void stored(const GitOid& blob, const Digest& object) override {
    arriving()->stored(blob, object);
    changed();
  }

  std::vector<Wanted> wanted() override { return arriving()->wanted(); }

 private:
  struct State {
    std::shared_ptr<Arriving> arriving;  // shared with the requests answered from it
    std::optional<PullRefusal> refusal;
    Time kept_until;  // of the refusal
    storage::JobId job = 0;
  };

  // Set before a download starts.
  std::shared_ptr<Arriving> arriving() { return state_.lock()->arriving; }

  storage::Store& store_;
  std::shared_ptr<Sync<Watchers>> watchers_;  // shared with the owner
  Sync<State> state_{};
};

PullThrough::PullThrough(storage::Store& store, FindSource source, const Clock& clock)
    : store_(store),
      source_(std::move(source)),
      clock_(clock),
      watchers_(std::make_shared<Sync<Watchers>>()) {}

PullThrough::~PullThrough() = default;

PullThrough::Watch PullThrough::watch(std::function<void()> changed) {
  auto watchers = watchers_->lock();
  const auto at = watchers->insert(watchers->end(), std::move(changed));
  // Not the address of anything: the value only ends the watch.
  return {static_cast<const void*>(this),
          [all = watchers_, at](const void*) { all->lock()->erase(at); }};
}

// Its job was cancelled before it ran.
bool PullThrough::is_lost(Entry& entry) {
  if (!entry.is_waiting() || entry.job() == 0) return false;
  const auto job = store_.jobs().find(entry.job());
  return !job ||
         (job->state != storage::JobState::Queued && job->state != storage::JobState::Running);
}

// The pull of exactly this revision, else one that turned out to bring it, or may do so yet.
std::shared_ptr<PullThrough::Entry> PullThrough::find(Entries& entries, const storage::RepoId& repo,
                                                      std::string_view revision) {
  const auto exact = entries.find(key_of(repo, revision));
  if (exact != entries.end()) {
    if (!exact->second->is_over(clock_.now()) && !is_lost(*exact->second)) return exact->second;
    entries.erase(exact);
  }
  const std::string prefix = key_of(repo, "");
  for (auto at = entries.lower_bound(prefix); at != entries.end() && at->first.starts_with(prefix);
       ++at) {
    Entry& other = *at->second;
    const bool knows = other.lacks_repository() && !other.is_over(clock_.now());
    const bool may_be = other.is_waiting() && !is_lost(other);
    if (knows || may_be || other.answers_to(revision)) return at->second;
  }
  return nullptr;
}

// What anybody on the network may set going, per minute.
bool PullThrough::may_start() {
  const Time minute = std::chrono::floor<std::chrono::minutes>(clock_.now());
  auto starts = starts_.lock();
  if (starts->minute != minute) *starts = {.minute = minute, .count = 0};
  return ++starts->count <= kPullStartsMax;
}

// False when too many pulls are under way.
bool PullThrough::make_room(Entries& entries) {
  if (entries.size() < kPullsMax) return true;
  const Time now = clock_.now();
  const bool full = entries.size() >= kPullsKnownMax;
  // When full, refusals that are still remembered have to go too.
  std::erase_if(entries, [&](const auto& entry) {
    return full ? entry.second->is_refused() : entry.second->is_over(now);
  });
  const auto running =
      std::ranges::count_if(entries, [](const auto& entry) { return !entry.second->is_refused(); });
  return static_cast<std::size_t>(running) < kPullsMax;
}

Pull PullThrough::pull(const storage::RepoId& repo, std::string_view revision) {
  if (revision == "HEAD") revision = "";
  const PullRefusal no_such_revision{.status = 404,
                                     .code = "RevisionNotFound",
                                     .message = "Invalid rev id: " + std::string(revision)};
  if (revision.size() > kPullRevisionMax) return {.refusal = no_such_revision};
  const storage::Catalog& catalog = store_.catalog();
  if (catalog.resolve(repo, revision.empty() ? "HEAD" : revision)) return {.published = true};
  const auto known = catalog.find_repository(repo);
  if (known && known->origin.find("://") == std::string::npos) {
    return {.refusal = no_such_revision};
  }
  const std::string key = key_of(repo, revision);
  auto entry = std::make_shared<Entry>(store_, watchers_);
  {
    auto entries = entries_.lock();
    if (const auto found = find(*entries, repo, revision)) return found->pull();
    if (!make_room(*entries) || !may_start()) {
      return {.refusal = PullRefusal{
                  .status = 503, .code = "", .message = "Too many repositories are being fetched"}};
    }
    entries->emplace(key, entry);
  }
  try {
    entry->set_job(
        store_.jobs().enqueue("pull", key, {{"repo", to_text(repo)}, {"revision", revision}}));
  } catch (...) {
    forget(key, entry);
    throw;
  }
  return entry->pull();
}

// The entry of a job; a job of the run before this one has none yet.
std::shared_ptr<PullThrough::Entry> PullThrough::entry_of(const std::string& key) {
  auto entries = entries_.lock();
  std::shared_ptr<Entry>& entry = (*entries)[key];
  if (!entry || entry->is_refused()) entry = std::make_shared<Entry>(store_, watchers_);
  return entry;
}

void PullThrough::forget(const std::string& key, const std::shared_ptr<Entry>& entry) {
  {
    auto entries = entries_.lock();
    const auto found = entries->find(key);
    if (found != entries->end() && found->second == entry) entries->erase(found);
  }
  entry->changed();
}

Json::Object PullThrough::try_sources(const storage::RepoId& repo, const std::string& revision,
                                      Entry& entry, storage::JobContext& context) {
  const PullSource source = source_(repo);
  std::vector<UpstreamConfig> upstreams = source.upstreams;
  for (UpstreamConfig& upstream : upstreams) {
    upstream.tuning.part_bytes = std::min(upstream.tuning.part_bytes, kPullPartBytes);
  }
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    // Those behind it stand in while it is down, and are raced with it when it stalls.
    const auto behind = std::span(upstreams).subspan(i + 1);
    SyncRequest request{.repo = repo,
                        .revision = revision,
                        .selection = source.selection,
                        .upstream = upstreams[i],
                        .fallbacks = {behind.begin(), behind.end()},
                        .limits = source.limits,
                        .closes = ClosesHoles::OfCommit,
                        .events = source.events,
                        .arrival = &entry};
    try {
      return sync(request, store_, context);
    } catch (const Error& error) {
      if (behind.empty() || error.kind() != ErrorKind::NotFound) throw;
      context.log(request.upstream.name + ": " + error.what());
    }
  }
  fail(ErrorKind::NotFound, to_text(repo) + ": no upstream is configured with pull_through = true");
}

Json::Object PullThrough::run(const storage::RepoId& repo, const std::string& revision,
                              storage::JobContext& context) {
  const std::string key = key_of(repo, revision);
  const std::shared_ptr<Entry> entry = entry_of(key);
  try {
    Json::Object result = try_sources(repo, revision, *entry, context);
    forget(key, entry);  // from here on the catalog answers
    return result;
  } catch (const Error& error) {
    entry->refuse(error, clock_.now());
    throw;
  } catch (const std::exception& error) {
    entry->refuse(Error(ErrorKind::Io, error.what()), clock_.now());
    throw;
  }
}

}  // namespace holdfast::mirror
