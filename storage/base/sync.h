// Data that can only be reached while its lock is held.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

namespace holdfast {

// Sync<T> owns a T and a mutex. `auto lock = sync.lock(); lock->field` is the only way in.
// Thread-safe. Keep no pointer into T beyond the Lock's life; hold no Lock across I/O or a
// callback.
template <class T>
class Sync {
 public:
  class Lock {
   public:
    explicit Lock(Sync& owner) : guard_(owner.mutex_), owner_(owner) {}

    T* operator->() { return &owner_.value_; }

    T& operator*() { return owner_.value_; }

    // Sleeps until `ready(T&)` holds; the lock is released meanwhile. Wake with Sync::notify_all.
    template <class Ready>
    void wait(Ready ready) {
      owner_.changed_.wait(guard_, [&] { return ready(owner_.value_); });
    }

    // As wait, but gives up after `timeout`; returns whether `ready` holds.
    template <class Duration, class Ready>
    bool wait_for(Duration timeout, Ready ready) {
      return owner_.changed_.wait_for(guard_, timeout, [&] { return ready(owner_.value_); });
    }

   private:
    std::unique_lock<std::mutex> guard_;
    Sync& owner_;
  };

  template <class... Args>
  explicit Sync(Args&&... args) : value_(std::forward<Args>(args)...) {}

  Sync(const Sync&) = delete;
  Sync& operator=(const Sync&) = delete;

  [[nodiscard]] Lock lock() { return Lock(*this); }

  void notify_all() { changed_.notify_all(); }

  void notify_one() { changed_.notify_one(); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  T value_;
};

}  // namespace holdfast
