#include "mirror/internal/card_pool.h"

#include <utility>

namespace holdfast::mirror {

CardPool::CardPool(unsigned workers, Work work) : work_(std::move(work)) {
  for (unsigned i = 0; i < workers; ++i) threads_.emplace_back([this] { this->work(); });
}

CardPool::~CardPool() {
  todo_.lock()->over = true;
  todo_.notify_all();
}

void CardPool::add(CardTask task) {
  ++done_.lock()->pending;
  todo_.lock()->tasks.push_back(std::move(task));
  todo_.notify_one();
}

std::size_t CardPool::pending() { return done_.lock()->pending; }

std::vector<CardOutcome> CardPool::take(std::chrono::milliseconds patience) {
  auto done = done_.lock();
  done.wait_for(patience, [](const Done& d) { return !d.outcomes.empty() || d.failure; });
  if (done->failure) std::rethrow_exception(done->failure);
  done->pending -= done->outcomes.size();
  return std::exchange(done->outcomes, {});
}

void CardPool::work() {
  while (true) {
    CardTask task;
    {
      auto todo = todo_.lock();
      todo.wait([](const Todo& t) { return t.over || !t.tasks.empty(); });
      if (todo->over) return;
      task = std::move(todo->tasks.front());
      todo->tasks.pop_front();
    }
    try {
      CardOutcome outcome = work_(std::move(task));
      done_.lock()->outcomes.push_back(std::move(outcome));
    } catch (...) {
      done_.lock()->failure = std::current_exception();
    }
    done_.notify_one();
  }
}

}  // namespace holdfast::mirror
