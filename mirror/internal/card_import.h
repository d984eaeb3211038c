// A catalog of cards without weights, from upstream's list: its rows are read page by page, cards
// that are new are asked for many at a time, and hundreds of repositories become visible in one
// write. What cannot be settled so is mirrored as any repository.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "mirror/internal/card_pool.h"
#include "mirror/internal/row_filter.h"
#include "mirror/internal/sync_session.h"
#include "mirror/internal/upstream_watch.h"
#include "mirror/mirror.h"

namespace holdfast::mirror {

// Whether the rule is about a catalog of cards.
bool is_card_catalog(const MirrorRule& rule);

class CardImport {
 public:
  struct Options {
    const MirrorRequest& request;
    std::size_t upstream = 0;  // the index of the one that is asked
    std::optional<Time> since;
    Time started;  // for the cursor
    std::function<bool(const storage::RepoId&)> is_ours;
    // Mirrors those before it returns.
    std::function<void(std::span<const ListedRepository>)> mirror;
  };

  struct Tally {
    std::uint64_t listed = 0, current = 0, published = 0, left_out = 0, to_fetch = 0;
    std::uint64_t holes = 0, bytes_fetched = 0;
    std::optional<Time> changed;
    Json::Array told;       // first holes and what was left out, as results of mirror_repository()
    bool complete = false;  // the list was read from its start to its end
  };

  // Borrows all.
  CardImport(Options options, SyncSession& session, storage::Store& store,
             storage::JobContext& context);

  // Once. Errors: those of the list, Unavailable and Timeout when cards cannot be had in a row,
  // and those of our own disk. What was published and recorded until then stays.
  Tally run();

  bool saw(const storage::RepoId& repo) const;

 private:
  struct Page {
    std::string next;
    std::size_t open = 0;  // rows that are neither here nor a hole yet
    bool listed = false;   // all of its rows were looked at
  };

  // Fetched, and visible with the next write.
  struct Arrived {
    CardOutcome outcome;
    std::unique_ptr<UpstreamWatch> watch;  // of what was held, or a hole, before
  };

  enum class Way { Current, LeftOut, Card, Ordinary };

  void list_and_settle();
  void read_list();
  bool take_page(std::span<const ListedRepository> rows, const std::string& next);
  void take_row(ListedRepository row, std::size_t page);
  Way way_of(const ListedRepository& row, CardTask& task) const;
  bool is_held(const ListedRepository& row) const;
  std::string why_unwanted(const ListedRepository& row, std::uint64_t card_bytes) const;
  void leave_out(const CardTask& task, const std::string& reason);
  CardOutcome fetch(CardTask task);
  void fetch_card(CardOutcome& out);
  void drain(std::size_t pending_max);
  void settle(CardOutcome outcome);
  void settle_failure(const CardTask& task, const Error& error);
  void be_ordinary(const CardTask& task);
  void mirror_ordinary();
  void publish();
  std::vector<bool> write(std::span<const storage::Publication> publications);
  void tell(Arrived& arrived);
  void tell_watch(Arrived& arrived, Json::Object details);
  void tell_sink(const storage::RepoId& repo, Json::Object details) const;
  void tell_rest();
  void pass(std::size_t page);
  void move_cursor();
  void report();

  Options options_;
  const MirrorRequest& request_;
  SyncSession& session_;
  storage::Store& store_;
  storage::JobContext& context_;
  std::string origin_;
  RowFilter filter_;
  std::unique_ptr<CardPool> pool_;
  Tally tally_;
  std::size_t holes_told_ = 0, left_out_told_ = 0;
  std::uint64_t untold_ = 0, untold_bytes_ = 0;  // arrived with this write, not told one by one
  std::unordered_set<std::uint64_t> seen_;       // hashes: a name each would cost too much memory
  std::set<storage::RepoId> with_holes_;
  std::vector<Arrived> arrived_;
  std::uint64_t arrived_bytes_ = 0;
  std::vector<ListedRepository> ordinary_;
  std::vector<std::size_t> ordinary_pages_;
  std::deque<Page> pages_;
  std::size_t first_page_ = 0;  // the number of pages_.front()
  bool resumed_ = false;
  int unavailable_in_a_row_ = 0;
  bool is_down_ = false;  // cards cannot be had
};

}  // namespace holdfast::mirror
