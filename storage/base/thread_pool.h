// A bounded pool for CPU work. The first exception wins and is rethrown to the waiter.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace holdfast {

// Thread-safe. Tasks must not submit to the pool they run on.
class ThreadPool {
 public:
  // `threads` workers (at least 1); 0 means one per available CPU.
  explicit ThreadPool(unsigned threads = 0);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();  // waits for queued tasks

  unsigned threads() const noexcept;

  // Runs body(i) for i in [0, count) on the workers and the calling thread; returns when all are
  // done. Rethrows the first exception, after which bodies not yet started are skipped.
  void for_each(std::size_t count, const std::function<void(std::size_t)>& body);

  // Queues one task; blocks while `threads * 4` tasks wait. An exception that escapes a submitted
  // task terminates: give tasks their own error path.
  void submit(std::function<void()> task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
