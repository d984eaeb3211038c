// Memory that many requests share: what strangers may make a server hold, all of them together.
// Thread-safe, without a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace holdfast::web {

class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t bytes_max) noexcept : bytes_max_(bytes_max) {}

  // Whether these bytes were still to be had; then they are the caller's until give_back().
  bool take(std::size_t bytes) noexcept {
    std::size_t used = used_.load();
    do {
      if (bytes > bytes_max_ - used) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes));
    return true;
  }

  void give_back(std::size_t bytes) noexcept { used_.fetch_sub(bytes); }

 private:
  const std::size_t bytes_max_;
  std::atomic<std::size_t> used_{0};
};

// What one request took of a budget, which may be none at all. One owner.
class BudgetShare {
 public:
  explicit BudgetShare(MemoryBudget* budget) noexcept : budget_(budget) {}

  BudgetShare(const BudgetShare&) = delete;
  BudgetShare& operator=(const BudgetShare&) = delete;

  ~BudgetShare() { give_back(); }

  bool take(std::size_t bytes) noexcept {
    if (budget_ == nullptr) return true;
    if (!budget_->take(bytes)) return false;
    bytes_ += bytes;
    return true;
  }

  void give_back() noexcept {
    if (budget_ != nullptr) budget_->give_back(std::exchange(bytes_, 0));
  }

 private:
  MemoryBudget* budget_;
  std::size_t bytes_ = 0;
};

}  // namespace holdfast::web
