#include "mirror/internal/side_by_side.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/mirror/sync_fixture.h"

namespace holdfast::mirror {
namespace {

std::vector<std::string> names(std::size_t count) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back("m" + std::to_string(i));
  return out;
}

// Hears from the thread that runs the job alone.
class OwnThreadContext final : public storage::JobContext {
 public:
  void report(const storage::Progress& progress) override {
    own = own && std::this_thread::get_id() == owner_;
    if (progress.done_bytes != 30) return;
    last = progress;
    *both_seen.lock() = true;
    both_seen.notify_all();
  }

  void log(std::string_view line) override {
    own = own && std::this_thread::get_id() == owner_;
    lines.emplace_back(line);
  }

  std::stop_token stop() const override { return source.get_token(); }

  bool own = true;
  storage::Progress last;
  std::vector<std::string> lines;
  std::stop_source source;
  Sync<bool> both_seen{false};

 private:
  std::thread::id owner_ = std::this_thread::get_id();
};

}  // namespace

TEST_CASE("mirror/side_by_side: every item is done once, by no more workers than asked for") {
  for (const std::size_t count : {0U, 1U, 3U, 50U}) {
    CAPTURE(count);
    OwnThreadContext context;
    Sync<std::multiset<std::size_t>> done{};
    std::atomic<std::size_t> worker_max{0};
    side_by_side(names(count), 4, context, [&](std::size_t item, const Worker& worker) {
      done.lock()->insert(item);
      if (worker.number > worker_max) worker_max = worker.number;
      worker.context.log("done");
    });
    CHECK(done.lock()->size() == count);
    for (std::size_t i = 0; i < count; ++i) CHECK(done.lock()->count(i) == 1);
    CHECK(worker_max < 4);
    CHECK(context.own);
    REQUIRE(context.lines.size() == count);
    const std::string first = "1/" + std::to_string(count) + " m0: done";
    if (count > 0) CHECK(std::ranges::count(context.lines, first) == 1);
  }
}

TEST_CASE("mirror/side_by_side: what is thrown first stops the others, and is what is thrown") {
  OwnThreadContext context;
  std::atomic<int> stopped{0};
  const auto run = [&] {
    side_by_side(names(20), 4, context, [&](std::size_t item, const Worker& worker) {
      if (item == 3) fail(ErrorKind::Io, "the disk is gone");
      Sync<bool> over{false};
      const std::stop_callback on_stop(worker.context.stop(), [&] {
        *over.lock() = true;
        over.notify_all();
      });
      over.lock().wait([](bool is) { return is; });
      ++stopped;
      fail(ErrorKind::Cancelled, "stopped");
    });
  };
  CHECK_THROWS_WITH_AS(run(), "the disk is gone", Error);
  CHECK(stopped == 3);
}

TEST_CASE("mirror/side_by_side: progress is that of all, and the oldest speaks") {
  OwnThreadContext context;
  side_by_side(names(2), 2, context, [&](std::size_t item, const Worker& worker) {
    worker.context.report({.phase = "phase " + std::to_string(item),
                           .done_bytes = 10 * (item + 1),
                           .total_bytes = 100,
                           .note = "waiting"});
    context.both_seen.lock().wait([](bool seen) { return seen; });
  });
  CHECK(context.own);
  CHECK(context.last.phase == "phase 0");
  CHECK(context.last.total_bytes == 200);
  CHECK(context.last.note == "1/2 m0 and 1 more: waiting");
}

}  // namespace holdfast::mirror
