#include "mirror/internal/side_by_side.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <iterator>
#include <map>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "storage/base/sync.h"

namespace holdfast::mirror {
namespace {

constexpr std::chrono::milliseconds kShowEvery{200};

// What the workers have to tell, until the caller's thread passes it on.
class Board {
 public:
  Board(const std::vector<std::string>& names, unsigned workers, storage::JobContext& context)
      : names_(names), context_(context) {
    state_.lock()->working = workers;
  }

  std::optional<std::size_t> take_item() {
    auto state = state_.lock();
    if (state->failure || state->next == names_.size()) return std::nullopt;
    state->rows[state->next] = {};
    state->is_news = true;
    return state->next++;
  }

  void done(std::size_t item) { state_.lock()->rows.erase(item); }

  void report(std::size_t item, const storage::Progress& progress) {
    auto state = state_.lock();
    state->rows[item] = progress;
    state->is_news = true;
  }

  void log(std::size_t item, std::string_view line) {
    state_.lock()->lines.push_back(place(item) + ": " + std::string(line));
  }

  void failed(std::exception_ptr failure) {
    auto state = state_.lock();
    if (!state->failure) state->failure = std::move(failure);
  }

  void leave() {
    --state_.lock()->working;
    state_.notify_all();
  }

  // Passes on what there is, until the last worker has left.
  void show_until_done();

  std::exception_ptr failure() { return state_.lock()->failure; }

 private:
  struct State {
    std::size_t next = 0;
    unsigned working = 0;
    std::map<std::size_t, storage::Progress> rows;  // of items at work
    std::vector<std::string> lines;
    bool is_news = false;
    std::exception_ptr failure;
  };

  std::string place(std::size_t item) const {
    return std::to_string(item + 1) + "/" + std::to_string(names_.size()) + " " + names_[item];
  }

  storage::Progress sum_of(const State& state) const;

  const std::vector<std::string>& names_;
  storage::JobContext& context_;
  Sync<State> state_{};
};

// The oldest item gives the phase and speaks; all of them count.
storage::Progress Board::sum_of(const State& state) const {
  const auto& [item, first] = *state.rows.begin();
  storage::Progress sum = first;
  sum.note = place(item);
  for (auto row = std::next(state.rows.begin()); row != state.rows.end(); ++row) {
    sum.done_bytes += row->second.done_bytes;
    sum.total_bytes += row->second.total_bytes;
    sum.done_items += row->second.done_items;
    sum.total_items += row->second.total_items;
  }
  if (state.rows.size() > 1) sum.note += " and " + std::to_string(state.rows.size() - 1) + " more";
  if (!first.note.empty()) sum.note += ": " + first.note;
  return sum;
}

void Board::show_until_done() {
  for (bool over = false; !over;) {
    std::vector<std::string> lines;
    std::optional<storage::Progress> progress;
    {
      auto state = state_.lock();
      over = state.wait_for(kShowEvery, [](const State& s) { return s.working == 0; });
      lines = std::exchange(state->lines, {});
      if (std::exchange(state->is_news, false) && !state->rows.empty()) progress = sum_of(*state);
    }
    for (const std::string& line : lines) context_.log(line);
    if (progress) context_.report(*progress);
  }
}

// One worker's way to the board.
class WorkerContext final : public storage::JobContext {
 public:
  WorkerContext(Board& board, std::stop_token stop) : board_(board), stop_(std::move(stop)) {}

  void begin(std::size_t item) { item_ = item; }

  void report(const storage::Progress& progress) override { board_.report(item_, progress); }

  void log(std::string_view line) override { board_.log(item_, line); }

  std::stop_token stop() const override { return stop_; }

 private:
  Board& board_;
  std::stop_token stop_;
  std::size_t item_ = 0;
};

}  // namespace

void side_by_side(const std::vector<std::string>& names, unsigned at_once,
                  storage::JobContext& context,
                  const std::function<void(std::size_t item, const Worker& worker)>& work) {
  const auto workers = static_cast<unsigned>(
      std::clamp<std::size_t>(at_once, 1, std::max<std::size_t>(1, names.size())));
  std::stop_source stop;
  const std::stop_callback on_stop(context.stop(), [&stop] { stop.request_stop(); });
  Board board(names, workers, context);
  std::vector<std::jthread> threads;
  for (unsigned number = 0; number < workers; ++number) {
    threads.emplace_back([&, number] {
      WorkerContext own(board, stop.get_token());
      try {
        while (const auto item = board.take_item()) {
          own.begin(*item);
          work(*item, {.number = number, .context = own});
          board.done(*item);
        }
      } catch (...) {
        board.failed(std::current_exception());
        stop.request_stop();
      }
      board.leave();
    });
  }
  board.show_until_done();
  threads.clear();
  if (const std::exception_ptr failure = board.failure()) std::rethrow_exception(failure);
}

}  // namespace holdfast::mirror
