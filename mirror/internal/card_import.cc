#include "mirror/internal/card_import.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "mirror/internal/card.h"
#include "mirror/internal/holes.h"
#include "mirror/internal/left_out.h"
#include "mirror/internal/retention.h"
#include "mirror/limits.h"
#include "mirror/url.h"
#include "storage/base/error.h"
#include "storage/scans.h"

namespace holdfast::mirror {
namespace {

constexpr std::chrono::milliseconds kShowEvery{200};

std::uint64_t hash_of(const storage::RepoId& repo) {
  return std::hash<std::string>()(to_text(repo));
}

// Errors of what upstream says about one file; its listing may say it better.
bool is_about_answer(ErrorKind kind) noexcept {
  return kind == ErrorKind::Corrupt || kind == ErrorKind::LimitExceeded ||
         kind == ErrorKind::Unsupported || kind == ErrorKind::NotFound;
}

// As RepositoryMirror tells it: a hole or what was left out, by `key`.
Json::Object result_of(const storage::RepoId& repo, std::string_view key, Json::Object row) {
  Json::Object out{{"repo", to_text(repo)},    {"revisions", Json::Array()},
                   {"skipped", Json::Array()}, {"holes", Json::Array()},
                   {"gone", Json()},           {"down", Json()},
                   {"expired", Json::Array()}, {"bytes_fetched", 0U},
                   {"bytes_to_fetch", 0U},     {"requests", 1U}};
  out.set(std::string(key), Json::Array{Json(std::move(row))});
  return out;
}

std::string ref_of(const CardTask& task) { return "refs/heads/" + task.default_branch; }

RemoteRevision info_of(const ListedRepository& row) {
  return {.commit = *row.commit,
          .time = {},
          .name = row.repo.full_name(),
          .gated = row.gated,
          .info = row.info};
}

// What a worker was stopped by, and what no other repository would fare better with.
bool ends_all(ErrorKind kind) noexcept {
  return kind == ErrorKind::Cancelled || kind == ErrorKind::Io;
}

}  // namespace

bool is_card_catalog(const MirrorRule& rule) {
  return rule.cards_only && rule.revisions.empty() && !parse_repo_pattern(rule.repo).exact;
}

CardImport::CardImport(Options options, SyncSession& session, storage::Store& store,
                       storage::JobContext& context)
    : options_(std::move(options)),
      request_(options_.request),
      session_(session),
      store_(store),
      context_(context),
      origin_(origin(parse_url(session.config().endpoint))),
      filter_(parse_repo_pattern(request_.rule.repo), options_.since) {
  for (const storage::Hole& hole : store.catalog().holes()) with_holes_.insert(hole.repo);
}

CardImport::Tally CardImport::run() {
  const unsigned workers = std::clamp(session_.config().tuning.workers, 1U, kRequestsMax);
  pool_ =
      std::make_unique<CardPool>(workers, [this](CardTask task) { return fetch(std::move(task)); });
  try {
    list_and_settle();
  } catch (...) {
    session_.stop().request_stop();  // whoever still asks need not go on
    throw;
  }
  pool_.reset();
  return std::move(tally_);
}

// What a list told before it broke off is settled all the same, so that the cursor moves.
void CardImport::list_and_settle() {
  const auto settle_all = [this] {
    drain(0);
    publish();
    mirror_ordinary();
    move_cursor();
  };
  try {
    read_list();
  } catch (const Error& error) {
    if (!is_down_ && !ends_all(error.kind())) settle_all();
    throw;
  }
  settle_all();
}

bool CardImport::saw(const storage::RepoId& repo) const { return seen_.contains(hash_of(repo)); }

// From where the run before had come, as long as upstream knows that place.
void CardImport::read_list() {
  const RepoPattern pattern = parse_repo_pattern(request_.rule.repo);
  RepositoryQuery query{.kind = pattern.kind, .owner = listed_owner(pattern), .cards = true};
  const auto take = [this](std::span<const ListedRepository> rows, const std::string& next) {
    return take_page(rows, next);
  };
  const auto& resume = request_.resume;
  resumed_ = resume && !options_.since && resume->upstream == session_.config().name;
  if (resumed_) {
    query.from = resume->next;
    tally_.changed = resume->changed;
    options_.started = resume->started;
    try {
      return session_.upstream().repositories(query, take);
    } catch (const Error& error) {
      const bool is_refused = error.kind() == ErrorKind::Denied || is_about_answer(error.kind());
      if (!is_refused || first_page_ + pages_.size() > 0) throw;
      context_.log("the list is read anew: " + std::string(error.what()));
      resumed_ = false;
      query.from.clear();
    }
  }
  session_.upstream().repositories(query, take);
  tally_.complete = !options_.since;
}

bool CardImport::take_page(std::span<const ListedRepository> rows, const std::string& next) {
  const std::size_t page = first_page_ + pages_.size();
  pages_.push_back({.next = next});
  std::vector<ListedRepository> meant;
  const bool more = filter_.take(rows, meant);
  for (ListedRepository& row : meant) take_row(std::move(row), page);
  pages_.back().listed = true;
  drain(kCardsAhead);
  mirror_ordinary();
  move_cursor();
  return more;
}

void CardImport::take_row(ListedRepository row, std::size_t page) {
  if (!options_.is_ours(row.repo) || !seen_.insert(hash_of(row.repo)).second) return;
  ++tally_.listed;
  tally_.changed = std::max(tally_.changed, row.changed);
  CardTask task{.row = std::move(row), .default_branch = "main", .before = {}, .page = page};
  switch (way_of(task.row, task)) {
    case Way::Current:
      ++tally_.current;
      return;
    case Way::LeftOut:
      return leave_out(task, why_unwanted(task.row, 0));
    case Way::Ordinary:
      ++pages_[page - first_page_].open;
      return be_ordinary(task);
    case Way::Card:
      break;
  }
  if (request_.dry_run) {
    ++tally_.to_fetch;
    return;
  }
  ++pages_[page - first_page_].open;
  pool_->add(std::move(task));
}

CardImport::Way CardImport::way_of(const ListedRepository& row, CardTask& task) const {
  const bool tells_cards = row.has_card || row.info.find("tags") != nullptr;
  if (!row.commit || !tells_cards) return Way::Ordinary;
  const storage::Catalog& catalog = store_.catalog();
  if (const auto known = catalog.find_repository(row.repo)) {
    if (known->origin != origin_ || is_marked_gone(catalog, row.repo)) return Way::Ordinary;
    task.default_branch = known->default_branch;
    task.before = catalog.resolve(row.repo, "HEAD");
    const bool has_hole = with_holes_.contains(row.repo);
    if (!request_.force && !has_hole && is_held(row)) return Way::Current;
    // Its listing may be whole, and a card would replace it; and who stands in moves nothing.
    if (options_.upstream > 0 || catalog.find_revision(row.repo, *row.commit)) {
      return Way::Ordinary;
    }
  }
  return why_unwanted(row, 0).empty() ? Way::Card : Way::LeftOut;
}

// As upstream lists it, with a card that can be read.
bool CardImport::is_held(const ListedRepository& row) const {
  const storage::Catalog& catalog = store_.catalog();
  if (catalog.resolve(row.repo, "HEAD") != row.commit) return false;
  const auto card = catalog.find_file(row.repo, *row.commit, kCardPath);
  if (!card) return row.has_card != true;
  return card->object && store_.blobs().find(*card->object);
}

// What the rule says against it, as far as the card's size is known by now.
std::string CardImport::why_unwanted(const ListedRepository& row, std::uint64_t card_bytes) const {
  const MirrorRule& rule = request_.rule;
  if (rule.licenses.empty() && rule.size_bytes_max == 0) return "";
  const SyncRequest request{
      .repo = row.repo,
      .limits = {.size_bytes_max = rule.size_bytes_max, .licenses = rule.licenses},
      .force = request_.force};
  try {
    check_license(request, *row.commit, row.info);
    check_size(request, *row.commit, card_bytes);
    return "";
  } catch (const LeftOut& left_out) {
    return left_out.what();
  }
}

// By name, as far as a job can show them. Of what is held, upstream's change is an event.
void CardImport::leave_out(const CardTask& task, const std::string& reason) {
  const ListedRepository& row = task.row;
  ++tally_.left_out;
  if (left_out_told_ < kCardNamesTold) {
    ++left_out_told_;
    context_.log("left out: " + reason);
    tally_.told.emplace_back(result_of(
        row.repo, "skipped",
        {{"revision", ref_of(task)}, {"commit", to_hex(*row.commit)}, {"reason", reason}}));
  }
  if (!task.before || request_.dry_run) return;
  UpstreamWatch watch(store_.catalog(), row.repo, *request_.events);
  watch.listen_to(request_.upstreams, options_.upstream);
  watch.saw_info(info_of(row));
  watch.skipped(ref_of(task), *row.commit, reason);
  watch.save();
}

// Runs in a worker.
CardOutcome CardImport::fetch(CardTask task) {
  CardOutcome out;
  out.task = std::move(task);
  try {
    fetch_card(out);
  } catch (const Error& error) {
    out.publication.reset();
    if (is_about_answer(error.kind())) {
      out.ordinary = true;
    } else {
      out.failure = error;
    }
  }
  return out;
}

// Asked for by its branch, which proves that this is the branch that the list means: where upstream
// has another default, or none of that name, its refs have to tell.
void CardImport::fetch_card(CardOutcome& out) {
  const ListedRepository& row = out.task.row;
  Upstream& upstream = session_.upstream();
  std::optional<SmallFile> answer;
  const bool has_card = row.has_card.value_or(true);
  if (has_card) {
    answer = upstream.small_file(
        {.repo = row.repo, .branch = out.task.default_branch, .commit = *row.commit},
        std::string(kCardPath));
  }
  const auto file = answer ? prove_card(*answer) : std::nullopt;
  // What upstream lists and does not have, or what nothing proves.
  out.ordinary = has_card && !file;
  if (file) out.left_out = why_unwanted(row, file->size_bytes);
  if (out.ordinary || !out.left_out.empty()) return;
  if (out.task.before) {
    out.rewritten = upstream.follows(row.repo, *row.commit, *out.task.before) == false;
  }
  if (answer) out.card = std::move(answer->bytes);
  out.publication = card_publication(
      row, file,
      {.origin = origin_, .default_branch = out.task.default_branch, .before = out.task.before},
      answer ? std::move(answer->evidence) : upstream.evidence(), std::chrono::system_clock::now());
  if (request_.card_facts) out.publication->facts = request_.card_facts(out.card);
}

// Until no more than so many are under way.
void CardImport::drain(std::size_t pending_max) {
  do {
    const bool waits = pool_->pending() > pending_max;
    for (CardOutcome& outcome : pool_->take(waits ? kShowEvery : kShowEvery * 0)) {
      settle(std::move(outcome));
    }
    report();
  } while (pool_->pending() > pending_max);
}

void CardImport::settle(CardOutcome outcome) {
  if (outcome.failure) return settle_failure(outcome.task, *outcome.failure);
  unavailable_in_a_row_ = 0;
  if (outcome.ordinary) return be_ordinary(outcome.task);
  if (!outcome.left_out.empty()) {
    leave_out(outcome.task, outcome.left_out);
    return pass(outcome.task.page);
  }
  Arrived arrived{.outcome = std::move(outcome), .watch = nullptr};
  const CardTask& task = arrived.outcome.task;
  if (task.before || with_holes_.contains(task.row.repo)) {
    arrived.watch =
        std::make_unique<UpstreamWatch>(store_.catalog(), task.row.repo, *request_.events);
  }
  arrived_bytes_ += arrived.outcome.card.size();
  arrived_.push_back(std::move(arrived));
  if (arrived_.size() >= kCardsPerWrite || arrived_bytes_ >= kCardBytesPerWrite) publish();
}

void CardImport::settle_failure(const CardTask& task, const Error& error) {
  if (ends_all(error.kind())) throw Error(error.kind(), error.what());
  unavailable_in_a_row_ = is_retryable(error.kind()) ? unavailable_in_a_row_ + 1 : 0;
  const Failure failure{.revision = "", .commit = task.row.commit, .reason = error.what()};
  UpstreamWatch watch(store_.catalog(), task.row.repo, *request_.events);
  settle_holes(store_.catalog(), watch, {&failure, 1}, true);
  watch.save();
  ++tally_.holes;
  pass(task.page);
  if (holes_told_ < kCardNamesTold) {
    ++holes_told_;
    context_.log("hole: " + to_text(task.row.repo) + ": " + failure.reason);
    tally_.told.emplace_back(result_of(task.row.repo, "holes", to_json(failure)));
  }
  if (unavailable_in_a_row_ < kUnavailableInARowMax) return;
  is_down_ = true;
  publish();
  move_cursor();
  throw Error(error.kind(), error.what());
}

void CardImport::be_ordinary(const CardTask& task) {
  ordinary_.push_back(task.row);
  ordinary_pages_.push_back(task.page);
}

void CardImport::mirror_ordinary() {
  if (ordinary_.empty()) return;
  options_.mirror(std::exchange(ordinary_, {}));
  for (const std::size_t page : std::exchange(ordinary_pages_, {})) pass(page);
}

void CardImport::publish() {
  session_.start_evidence(false);  // what was asked for these is no evidence of those to come
  std::vector<Arrived> arrived = std::exchange(arrived_, {});
  arrived_bytes_ = 0;
  if (arrived.empty()) return;
  std::vector<std::span<const std::byte>> contents;
  for (const Arrived& one : arrived) {
    if (!one.outcome.publication->files.empty()) contents.push_back(as_bytes(one.outcome.card));
  }
  std::vector<Digest> objects;
  if (!contents.empty()) objects = store_.blobs().put_all(contents);
  std::vector<storage::Publication> publications;
  auto object = objects.begin();
  for (Arrived& one : arrived) {
    publications.push_back(std::move(*one.outcome.publication));
    for (storage::FileRecord& file : publications.back().files) file.object = *object++;
  }
  const std::vector<bool> written = write(publications);
  for (std::size_t i = 0; i < arrived.size(); ++i) {
    if (written[i]) {
      tell(arrived[i]);
    } else {
      be_ordinary(arrived[i].outcome.task);
    }
  }
  tell_rest();
}

// Together; where another sync was here first, one by one. Which of them are visible now.
std::vector<bool> CardImport::write(std::span<const storage::Publication> publications) {
  std::vector<bool> written(publications.size(), true);
  try {
    store_.catalog().publish_all(publications);
    return written;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Conflict) throw;
  }
  for (std::size_t i = 0; i < publications.size(); ++i) {
    try {
      store_.catalog().publish(publications[i]);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Conflict) throw;
      written[i] = false;
    }
  }
  return written;
}

void CardImport::tell(Arrived& arrived) {
  const CardTask& task = arrived.outcome.task;
  const ListedRepository& row = task.row;
  const std::size_t bytes = arrived.outcome.card.size();
  ++tally_.published;
  tally_.bytes_fetched += bytes;
  pass(task.page);
  if (!request_.card_facts) storage::request_scan(store_, row.repo, *row.commit);
  Json::Object details{
      {"revision", ref_of(task)}, {"commit", to_hex(*row.commit)}, {"bytes_fetched", bytes}};
  if (arrived.watch) return tell_watch(arrived, std::move(details));
  if (tally_.published <= kCardsTold) return tell_sink(row.repo, std::move(details));
  ++untold_;
  untold_bytes_ += bytes;
}

void CardImport::tell_watch(Arrived& arrived, Json::Object details) {
  const CardTask& task = arrived.outcome.task;
  UpstreamWatch& watch = *arrived.watch;
  watch.listen_to(request_.upstreams, options_.upstream);
  watch.saw_info(info_of(task.row));
  const storage::Ref ref{.name = ref_of(task), .commit = *task.row.commit};
  const bool rewritten = arrived.outcome.rewritten || watch.was_left(ref.name, ref.commit);
  watch.ref_moved(ref, task.before, rewritten);
  watch.emit(EventKind::SyncDone, std::move(details));
  settle_holes(store_.catalog(), watch, {}, true);
  expire_beyond(store_.catalog(), watch, request_.rule.keep, {});
  watch.save();
}

void CardImport::tell_sink(const storage::RepoId& repo, Json::Object details) const {
  request_.events->emit({.kind = EventKind::SyncDone,
                         .repo = repo,
                         .details = std::move(details),
                         .time = std::chrono::system_clock::now()});
}

// A million events would cost hooks more than the cards cost us.
void CardImport::tell_rest() {
  if (untold_ == 0) return;
  const RepoPattern pattern = parse_repo_pattern(request_.rule.repo);
  tell_sink({.kind = pattern.kind, .owner = pattern.owner, .name = pattern.name},
            {{"repositories", std::exchange(untold_, 0U)},
             {"bytes_fetched", std::exchange(untold_bytes_, 0U)}});
}

void CardImport::pass(std::size_t page) { --pages_[page - first_page_].open; }

// Past the pages of which every row is stored, left out, or an open hole. The last page has no
// next, and needs none.
void CardImport::move_cursor() {
  std::string next;
  while (!pages_.empty() && pages_.front().listed && pages_.front().open == 0) {
    next = pages_.front().next;
    pages_.pop_front();
    ++first_page_;
  }
  if (next.empty() || options_.since || request_.dry_run || !request_.passed) return;
  request_.passed({.upstream = session_.config().name,
                   .next = next,
                   .started = options_.started,
                   .changed = tally_.changed});
}

void CardImport::report() {
  session_.reporter().report(
      {.phase = "mirroring cards",
       .done_bytes = tally_.bytes_fetched,
       .done_items = tally_.listed - std::min<std::uint64_t>(tally_.listed, pool_->pending()),
       .total_items = tally_.listed});
}

}  // namespace holdfast::mirror
