#include "mirror/internal/race.h"

#include <algorithm>
#include <deque>
#include <exception>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "storage/base/error.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {
namespace {

constexpr Milliseconds kLook{100};

// Nothing: the upstream itself.
using Runner = std::optional<std::size_t>;

class Race {
 public:
  Race(const RaceEntry& entry, const RemoteFile& file, storage::ByteRange range,
       const ByteSink& sink);

  void run(const std::stop_token& stop);

 private:
  struct State {
    std::uint64_t delivered = 0;
    bool delivering = false;  // one runner has the sink
    unsigned running = 0;
    unsigned failed_rivals = 0;
    bool won = false;
    Runner winner;
    // The upstream's own, and the sink's. What a rival has to say is of no interest.
    std::exception_ptr failure, sink_failure;
    bool needs_whole_file = false;

    bool is_over() const { return won || sink_failure != nullptr || needs_whole_file; }
  };

  void watch();
  bool start_next();
  void start(Upstream& upstream, Runner runner);
  void run_one(Upstream& upstream, Runner runner);
  void end(Runner runner, std::exception_ptr failure, bool needs_whole_file);
  void deliver(std::uint64_t& at, std::span<const std::byte> bytes);

  Pace new_pace() const { return {entry_.pace, entry_.pauser.now()}; }

  const RaceEntry& entry_;
  const RemoteFile& file_;
  storage::ByteRange range_;
  const ByteSink& sink_;
  std::deque<Runner> waiting_;  // who has not been asked yet
  Sync<State> state_{};
  std::stop_source stop_;
  std::vector<std::jthread> runners_;
};

Race::Race(const RaceEntry& entry, const RemoteFile& file, storage::ByteRange range,
           const ByteSink& sink)
    : entry_(entry), file_(file), range_(range), sink_(sink) {
  const Runner leader = entry.rivals.leader();
  waiting_.push_back(leader);
  if (leader) waiting_.emplace_back();
  for (std::size_t rival = 0; rival < entry.rivals.count(); ++rival) {
    if (leader != rival) waiting_.emplace_back(rival);
  }
}

void Race::deliver(std::uint64_t& at, std::span<const std::byte> bytes) {
  std::uint64_t known = 0;
  {
    auto state = state_.lock();
    state.wait([](const State& s) { return !s.delivering; });
    known = std::min<std::uint64_t>(state->delivered - at, bytes.size());
    state->delivering = known < bytes.size();
  }
  at += bytes.size();
  if (known > 0) entry_.wasted(known);
  if (known == bytes.size()) return;
  std::exception_ptr failure;
  try {
    sink_(bytes.subspan(known));
  } catch (...) {
    failure = std::current_exception();
  }
  {
    auto state = state_.lock();
    state->delivering = false;
    if (!failure) state->delivered = at;
    if (failure && !state->sink_failure) state->sink_failure = failure;
  }
  state_.notify_all();
  if (failure) fail(ErrorKind::Cancelled, "the sink failed");
}

void Race::run_one(Upstream& upstream, Runner runner) {
  std::uint64_t at = state_.lock()->delivered;
  const storage::ByteRange rest{.offset = range_.offset + at, .length = range_.length - at};
  try {
    upstream.fetch(
        file_, rest, [&](std::span<const std::byte> bytes) { deliver(at, bytes); },
        stop_.get_token());
    end(runner, nullptr, false);
  } catch (const Error& error) {
    end(runner, std::current_exception(), error.kind() == ErrorKind::Unsupported);
  } catch (...) {
    end(runner, std::current_exception(), false);
  }
}

void Race::end(Runner runner, std::exception_ptr failure, bool needs_whole_file) {
  {
    auto state = state_.lock();
    --state->running;
    if (!failure) {
      if (!std::exchange(state->won, true)) state->winner = runner;
    } else if (runner) {
      ++state->failed_rivals;
    } else {
      state->failure = std::move(failure);
      state->needs_whole_file = needs_whole_file;
    }
  }
  state_.notify_all();
}

void Race::start(Upstream& upstream, Runner runner) {
  ++state_.lock()->running;
  runners_.emplace_back([this, &upstream, runner] { run_one(upstream, runner); });
}

// False when everybody has been asked.
bool Race::start_next() {
  while (!waiting_.empty()) {
    const Runner runner = waiting_.front();
    waiting_.pop_front();
    try {
      start(runner ? entry_.rivals.at(*runner) : entry_.first, runner);
      return true;
    } catch (const Error&) {
      continue;  // one that cannot even be connected to is no rival
    }
  }
  return false;
}

// Until somebody is through or everybody has given up. Where the upstream itself failed nobody else
// is asked: its caller decides about that.
void Race::watch() {
  Pace pace = new_pace();
  std::uint64_t stalled_at = 0;  // delivered when the last one was asked
  unsigned failed_rivals = 0;
  while (true) {
    State seen;
    {
      auto state = state_.lock();
      state.wait_for(kLook, [&](const State& s) {
        return s.is_over() || s.running == 0 || s.failed_rivals != failed_rivals;
      });
      seen = *state;
    }
    if (seen.is_over()) return;
    if (seen.running == 0 && seen.failure) return;
    pace.saw(entry_.pauser.now(), seen.delivered);
    // A rival that has nothing to give leaves things as they were.
    const bool in_vain = std::exchange(failed_rivals, seen.failed_rivals) != seen.failed_rivals &&
                         seen.delivered == stalled_at;
    if (seen.running > 0 && !in_vain && !pace.is_stalled()) continue;
    if (!start_next()) {
      if (seen.running == 0) return;
      continue;
    }
    stalled_at = seen.delivered;
    pace = new_pace();
  }
}

void Race::run(const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [this] { stop_.request_stop(); });
  start_next();
  watch();
  stop_.request_stop();
  runners_.clear();
  const State end = *state_.lock();
  if (end.won) return entry_.rivals.won(end.winner);
  if (stop.stop_requested()) fail(ErrorKind::Cancelled, "stopped");
  std::rethrow_exception(end.sink_failure ? end.sink_failure : end.failure);
}

}  // namespace

void race(const RaceEntry& entry, const RemoteFile& file, storage::ByteRange range,
          const ByteSink& sink, const std::stop_token& stop) {
  Race(entry, file, range, sink).run(stop);
}

}  // namespace holdfast::mirror
