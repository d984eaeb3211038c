#include "web/search_index.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include <xapian.h>

#include "storage/base/sync.h"
#include "storage/change_feed.h"
#include "web/internal/log.h"
#include "web/internal/newest.h"
#include "web/internal/search_document.h"
#include "web/internal/search_match.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kVersionKey = "version";
constexpr std::string_view kCursorKey = "change";  // the last one that is in the index
constexpr std::string_view kWholeKey = "whole";    // it has had everything once

// The index as the thread writes it. Throws what Xapian throws.
class Writer {
 public:
  Writer(storage::Store& store, const fs::path& directory)
      : store_(store), index_(directory.string(), Xapian::DB_CREATE_OR_OPEN) {
    const std::string cursor = index_.get_metadata(std::string(kCursorKey));
    cursor_ = cursor.empty() ? 0 : std::stoull(cursor);
    whole_ = !index_.get_metadata(std::string(kWholeKey)).empty();
    newest_ = search::NewestFirst(index_);
    if (index_.get_metadata(std::string(kVersionKey)).empty())
      index_.set_metadata(std::string(kVersionKey), std::string(search::kVersion));
  }

  static bool is_current(const fs::path& directory) {
    const Xapian::Database index(directory.string());
    return index.get_metadata(std::string(kVersionKey)) == search::kVersion;
  }

  std::uint64_t cursor() const noexcept { return cursor_; }

  bool is_whole() const noexcept { return whole_; }

  void take(const storage::Change& change) {
    const std::string term = search::id_term(change.repo);
    const auto& catalog = store_.catalog();
    if (auto record = catalog.find_repository(change.repo)) {
      const RepositoryFacts facts = read_facts(catalog, *std::move(record), std::nullopt);
      const auto document = index_.replace_document(term, search::make_document(store_, facts));
      newest_.put(document, facts.repository.updated_at);
    } else if (const auto found = index_.postlist_begin(term); found != index_.postlist_end(term)) {
      newest_.erase(*found);
      index_.delete_document(term);
    }
    cursor_ = change.number;
    if (++uncommitted_ == kSearchCommitDocuments) commit();
  }

  // All that is in the index, and perhaps what the next commit brings.
  std::shared_ptr<const search::NewestFirst::Rows> newest() { return newest_.snapshot(); }

  void finish() {
    if (!whole_) index_.set_metadata(std::string(kWholeKey), "1");
    if (!whole_ || uncommitted_ > 0) commit();
    whole_ = true;
  }

 private:
  void commit() {
    index_.set_metadata(std::string(kCursorKey), std::to_string(cursor_));
    index_.commit();
    uncommitted_ = 0;
  }

  storage::Store& store_;
  Xapian::WritableDatabase index_;
  search::NewestFirst newest_;
  std::uint64_t cursor_ = 0;
  std::size_t uncommitted_ = 0;
  bool whole_ = false;
};

// An opened index to search in; used by one thread at a time.
struct Reader {
  Xapian::Database index;
  std::uint64_t commits = 0;  // of the writer when it was opened
};

// Other errors, of a full disk or of too many open files, may pass.
bool says_damage(const Xapian::Error& error) {
  const std::string_view type = error.get_type();
  return type == "DatabaseCorruptError" || type == "DatabaseNotFoundError";
}

// Nothing where it was removed a moment ago.
std::optional<storage::RepoId> find_id(const Xapian::Database& index, Xapian::docid document) {
  try {
    return search::id_of(index.get_document(document));
  } catch (const Xapian::DocNotFoundError&) {
    return std::nullopt;
  }
}

struct Progress {
  std::uint64_t asked = 0, answered = 0;  // searches that want all changes in it; those that do
  std::uint64_t cursor = 0;
  std::uint64_t commits = 0;
  std::shared_ptr<const search::NewestFirst::Rows> newest;  // as of the last of them
  bool usable = false;                                      // has had everything once
  bool failing = false;                                     // it cannot be written
  bool damaged = false;                                     // a reader found it so
  bool stopping = false;
};

}  // namespace

struct SearchIndex::State {
  explicit State(storage::Store& given) : store(given), directory(given.directory() / "search") {}

  void run() noexcept;
  void follow();
  bool take_changes(Writer& writer);
  void discard_unusable() const;
  bool catch_up();
  std::unique_ptr<Reader> take_reader(std::uint64_t commits);
  template <class Ask>
  auto ask(const Ask& ask) -> std::optional<decltype(ask(std::declval<Xapian::Database&>()))>;

  storage::Store& store;
  fs::path directory;
  const storage::ChangeFeed* feed = nullptr;  // the catalog's; set before the thread starts
  Sync<Progress> progress{};
  Sync<std::vector<std::unique_ptr<Reader>>> readers{};  // those that nobody uses
  std::jthread thread;
};

// An index of another version, or one that cannot be opened, makes room for a new one.
void SearchIndex::State::discard_unusable() const {
  if (!fs::exists(directory)) return;
  try {
    if (Writer::is_current(directory)) return;
    log()->info("search_index_outdated directory={}", directory.string());
  } catch (const Xapian::Error& error) {
    log()->warn("search_index_unusable directory={} error=\"{}\"", directory.string(),
                error.get_description());
  }
  fs::remove_all(directory);
}

// Whether all that the feed has is in the index now; not when it was told to stop.
bool SearchIndex::State::take_changes(Writer& writer) {
  while (true) {
    const auto changes = feed->changes(writer.cursor(), kSearchStep);
    for (const storage::Change& change : changes) {
      if (progress.lock()->stopping) return false;
      writer.take(change);
    }
    if (changes.size() < kSearchStep) break;
  }
  writer.finish();
  return true;
}

void SearchIndex::State::follow() {
  discard_unusable();
  Writer writer(store, directory);
  {
    auto now = progress.lock();
    now->cursor = writer.cursor();
    now->newest = writer.newest();
    now->usable = writer.is_whole();
    now->failing = false;
    ++now->commits;
  }
  while (true) {
    const std::uint64_t asked = progress.lock()->asked;
    if (!take_changes(writer)) return;
    auto newest = writer.newest();
    auto now = progress.lock();
    now->answered = asked;
    now->newest = std::move(newest);
    if (now->cursor != writer.cursor() || !now->usable) ++now->commits;
    now->cursor = writer.cursor();
    now->usable = true;
    progress.notify_all();
    now.wait_for(kSearchLook,
                 [](Progress& p) { return p.stopping || p.damaged || p.asked > p.answered; });
    if (now->stopping || now->damaged) return;
  }
}

void SearchIndex::State::run() noexcept {
  while (!progress.lock()->stopping) {
    try {
      follow();
    } catch (const Xapian::Error& error) {
      log()->error("search_index_failed error=\"{}\"", error.get_description());
      if (says_damage(error)) progress.lock()->damaged = true;
    } catch (const std::exception& error) {
      log()->error("search_index_failed error=\"{}\"", error.what());
    }
    readers.lock()->clear();
    auto now = progress.lock();
    if (now->stopping) return;
    // Until it is there again, whoever searches looks through the catalog.
    now->usable = false;
    if (std::exchange(now->damaged, false)) {
      std::error_code ignored;
      fs::remove_all(directory, ignored);
      continue;
    }
    now->failing = true;
    progress.notify_all();
    now.wait_for(kSearchRetryPause, [](Progress& p) { return p.stopping; });
  }
}

// Whether there is an index, with all in it that was published before: if that takes no time.
bool SearchIndex::State::catch_up() {
  if (feed == nullptr) return false;
  const Progress before = *progress.lock();
  const auto missing = feed->changes(before.cursor, kSearchBacklogMax + 1).size();
  const bool worth_waiting = missing <= kSearchBacklogMax && !before.failing;
  if (!worth_waiting || (before.usable && missing == 0)) return before.usable;
  auto now = progress.lock();
  const std::uint64_t mine = ++now->asked;
  progress.notify_all();
  now.wait_for(kSearchWaitMax,
               [&](const Progress& p) { return p.answered >= mine || p.stopping || p.failing; });
  return now->usable;
}

std::unique_ptr<Reader> SearchIndex::State::take_reader(std::uint64_t commits) {
  std::unique_ptr<Reader> reader;
  {
    auto idle = readers.lock();
    if (!idle->empty()) {
      reader = std::move(idle->back());
      idle->pop_back();
    }
  }
  if (!reader)
    return std::make_unique<Reader>(Reader{Xapian::Database(directory.string()), commits});
  if (reader->commits != commits) reader->index.reopen();
  reader->commits = commits;
  return reader;
}

template <class Ask>
auto SearchIndex::State::ask(const Ask& ask)
    -> std::optional<decltype(ask(std::declval<Xapian::Database&>()))> {
  if (!catch_up()) return std::nullopt;
  for (int tries = 0; tries < kSearchTries; ++tries) {
    try {
      auto reader = take_reader(progress.lock()->commits);
      auto answer = ask(reader->index);
      auto idle = readers.lock();
      if (idle->size() < kSearchReadersMax) idle->push_back(std::move(reader));
      return answer;
    } catch (const Xapian::DatabaseModifiedError&) {
      continue;  // two commits have gone by while it was read: the next reader is a new one
    } catch (const Xapian::Error& error) {
      log()->warn("search_failed error=\"{}\"", error.get_description());
      if (says_damage(error)) {
        progress.lock()->damaged = true;
        progress.notify_all();
      }
      return std::nullopt;
    }
  }
  return std::nullopt;
}

SearchIndex::SearchIndex(storage::Store& store) : state_(std::make_unique<State>(store)) {}

SearchIndex::~SearchIndex() { stop(); }

void SearchIndex::start() {
  state_->feed = storage::find_change_feed(state_->store.catalog());
  if (state_->feed == nullptr) return;
  state_->thread = std::jthread([state = state_.get()] { state->run(); });
}

void SearchIndex::stop() noexcept {
  state_->progress.lock()->stopping = true;
  state_->progress.notify_all();
  if (state_->thread.joinable()) state_->thread.join();
}

bool SearchIndex::wait_until_whole() {
  if (state_->feed == nullptr) return false;
  auto now = state_->progress.lock();
  now.wait([](const Progress& p) { return p.usable || p.failing || p.stopping; });
  return now->usable;
}

std::optional<SearchResult> SearchIndex::search(const SearchQuery& query, const MaySee& may_see) {
  return state_->ask(
      [&](const Xapian::Database& index) { return search::find(index, query, may_see); });
}

std::optional<SearchIndex::Newest> SearchIndex::newest(std::size_t first, std::size_t limit) {
  return state_->ask([&](const Xapian::Database& index) {
    const auto rows = state_->progress.lock()->newest;
    Newest newest{.ids = {}, .total = rows->size()};
    for (std::size_t at = first; at < rows->size() && newest.ids.size() < limit; ++at) {
      if (auto id = find_id(index, (*rows)[at].document)) newest.ids.push_back(*std::move(id));
    }
    return newest;
  });
}

std::optional<std::vector<SearchIndex::Tag>> SearchIndex::tags(storage::RepoKind kind,
                                                               std::size_t per_type,
                                                               const MaySee& may_see) {
  return state_->ask([&](const Xapian::Database& index) {
    return search::find_tags(index, kind, per_type, may_see);
  });
}

}  // namespace holdfast::web
