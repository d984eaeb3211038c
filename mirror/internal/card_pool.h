// Cards that several threads ask upstream for: tasks go in, outcomes come out, in no order.
// Used by one thread. Bounded by who adds: pending() tells what lies here.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "mirror/upstream.h"
#include "storage/base/error.h"
#include "storage/base/sync.h"
#include "storage/catalog.h"

namespace holdfast::mirror {

// A repository whose card is wanted.
struct CardTask {
  ListedRepository row;          // has a commit
  std::string default_branch;    // here
  std::optional<GitOid> before;  // what that names here
  std::size_t page = 0;          // of the listing
};

struct CardOutcome {
  CardTask task;
  std::optional<storage::Publication> publication;
  std::string card;        // what the publication's file holds
  bool rewritten = false;  // upstream's commit does not follow from the one before
  std::string left_out;    // why the rule does, or ""
  bool ordinary = false;   // cannot be settled by one file: to be mirrored as any repository
  std::optional<Error> failure = {};
};

class CardPool {
 public:
  // Called from all workers at once; what it throws ends the pool.
  using Work = std::function<CardOutcome(CardTask task)>;

  CardPool(unsigned workers, Work work);
  CardPool(const CardPool&) = delete;
  CardPool& operator=(const CardPool&) = delete;
  // Forgets what nobody took; ends when the work under way does.
  ~CardPool();

  void add(CardTask task);

  // What was added and not taken.
  std::size_t pending();

  // What is done by now; waits up to `patience` for it. Throws what a worker threw.
  std::vector<CardOutcome> take(std::chrono::milliseconds patience);

 private:
  struct Todo {
    std::deque<CardTask> tasks;
    bool over = false;
  };

  struct Done {
    std::vector<CardOutcome> outcomes;
    std::size_t pending = 0;
    std::exception_ptr failure;
  };

  void work();

  Work work_;
  Sync<Todo> todo_{};
  Sync<Done> done_{};
  std::vector<std::jthread> threads_;
};

}  // namespace holdfast::mirror
