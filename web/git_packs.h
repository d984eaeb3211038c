// What all clones and fetches under way share: how many packs are made at once, since making one
// keeps a thread of the pool busy for as long as it takes, and how much of the disk those that are
// being made or sent take together. One object for a server. Thread-safe; errors: none.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>

#include "storage/base/sync.h"
#include "web/limits.h"
#include "web/memory_budget.h"

namespace holdfast::web {

class GitPacks {
 public:
  explicit GitPacks(std::size_t at_once = kGitPacksAtOnce,
                    std::size_t disk_bytes_max = kGitSpoolsBytesMax);

  // The right to make a pack, for as long as it lives. Outlived by its GitPacks.
  class Turn {
   public:
    Turn(Turn&& other) noexcept : packs_(std::exchange(other.packs_, nullptr)) {}

    Turn& operator=(Turn&&) = delete;

    ~Turn() {
      if (packs_ != nullptr) packs_->end_turn();
    }

   private:
    friend class GitPacks;

    explicit Turn(GitPacks& packs) noexcept : packs_(&packs) {}

    GitPacks* packs_;
  };

  // Nothing while as many are being made as may be.
  [[nodiscard]] std::optional<Turn> take_turn();

  // Calls `changed` whenever a turn ends, from any thread; an empty one is called no more once this
  // returns. It must return at once and must not call back.
  void set_watch(std::function<void()> changed);

  MemoryBudget& disk() noexcept { return disk_; }

 private:
  struct State {
    std::size_t turns_left = 0;
    std::function<void()> changed;
  };

  void end_turn();

  Sync<State> state_;
  MemoryBudget disk_;
};

}  // namespace holdfast::web
