#include "storage/base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include <sched.h>

#include "storage/base/sync.h"

namespace holdfast {
namespace {

constexpr unsigned kQueuedPerThread = 4;

unsigned available_cpus() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  // The affinity mask knows about taskset and cpusets; hardware_concurrency does not always.
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
  return std::max(1U, std::thread::hardware_concurrency());
}

// One for_each call: the next index to take, who is still inside, and the first exception.
struct Loop {
  const std::function<void(std::size_t)>& body;
  std::size_t count;
  std::atomic<std::size_t> next{0};

  struct Shared {
    unsigned inside = 0;
    std::exception_ptr error;
  };

  Sync<Shared> shared{};

  void run() {
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      try {
        body(i);
      } catch (...) {
        next.store(count);
        auto lock = shared.lock();
        if (!lock->error) lock->error = std::current_exception();
      }
    }
  }
};

}  // namespace

struct ThreadPool::State {
  struct Queue {
    std::deque<std::function<void()>> tasks;
    bool closed = false;
  };

  Sync<Queue> queue{};
  std::vector<std::jthread> workers;

  void work() {
    while (true) {
      std::function<void()> task;
      {
        auto lock = queue.lock();
        lock.wait([](Queue& q) { return q.closed || !q.tasks.empty(); });
        if (lock->tasks.empty()) return;
        task = std::move(lock->tasks.front());
        lock->tasks.pop_front();
      }
      queue.notify_all();  // a submitter may wait for room
      task();
    }
  }

  void push(std::function<void()> task) {
    {
      auto lock = queue.lock();
      lock.wait([&](Queue& q) { return q.tasks.size() < workers.size() * kQueuedPerThread; });
      lock->tasks.push_back(std::move(task));
    }
    queue.notify_all();
  }
};

ThreadPool::ThreadPool(unsigned threads) : state_(std::make_unique<State>()) {
  const unsigned count = threads == 0 ? available_cpus() : threads;
  // Reserved before the first worker starts: workers never look at the vector, submitters do.
  state_->workers.reserve(count);
  for (unsigned i = 0; i < count; ++i)
    state_->workers.emplace_back([state = state_.get()] { state->work(); });
}

ThreadPool::~ThreadPool() {
  state_->queue.lock()->closed = true;
  state_->queue.notify_all();
}

unsigned ThreadPool::threads() const noexcept {
  return static_cast<unsigned>(state_->workers.size());
}

void ThreadPool::for_each(std::size_t count, const std::function<void(std::size_t)>& body) {
  // Shared with the helpers: one that starts after the loop is over finds nothing left to take.
  const auto loop = std::make_shared<Loop>(body, count);
  const std::size_t helpers = std::min<std::size_t>(threads(), count > 0 ? count - 1 : 0);
  for (std::size_t i = 0; i < helpers; ++i) {
    state_->push([loop] {
      ++loop->shared.lock()->inside;
      loop->run();
      --loop->shared.lock()->inside;
      loop->shared.notify_all();
    });
  }
  loop->run();
  auto lock = loop->shared.lock();
  lock.wait([](Loop::Shared& shared) { return shared.inside == 0; });
  // Taken out, so that a helper which lets go of the loop last does not end what the caller reads.
  if (const auto error = std::exchange(lock->error, nullptr)) std::rethrow_exception(error);
}

void ThreadPool::submit(std::function<void()> task) { state_->push(std::move(task)); }

}  // namespace holdfast
