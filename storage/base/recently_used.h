// The values used last, kept for whoever asks again.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

#include "storage/base/sync.h"

namespace holdfast {

// At most `values_max` values by their keys, shared with those who still use one when it is let go
// of. Thread-safe.
template <class Key, class Value, class Hash = std::hash<Key>>
class RecentlyUsed {
 public:
  using Shared = std::shared_ptr<const Value>;

  explicit RecentlyUsed(std::size_t values_max) : values_max_(values_max) {}

  // Null when it is not here.
  Shared find(const Key& key) {
    auto known = known_.lock();
    const auto at = known->by_key.find(key);
    if (at == known->by_key.end()) return nullptr;
    known->order.splice(known->order.begin(), known->order, at->second);
    return at->second->second;
  }

  // In the place of the one that nobody used for longest. What is here already stays.
  void add(const Key& key, Shared value) {
    Shared dropped;  // destroyed after the lock is gone
    auto known = known_.lock();
    if (known->by_key.contains(key)) return;
    known->order.emplace_front(key, std::move(value));
    known->by_key.emplace(key, known->order.begin());
    if (known->order.size() <= values_max_) return;
    dropped = std::move(known->order.back().second);
    known->by_key.erase(known->order.back().first);
    known->order.pop_back();
  }

  void forget(const Key& key) {
    Shared dropped;  // destroyed after the lock is gone
    auto known = known_.lock();
    const auto at = known->by_key.find(key);
    if (at == known->by_key.end()) return;
    dropped = std::move(at->second->second);
    known->order.erase(at->second);
    known->by_key.erase(at);
  }

 private:
  using Entry = std::pair<Key, Shared>;

  struct Known {
    std::list<Entry> order;  // newest use first
    std::unordered_map<Key, typename std::list<Entry>::iterator, Hash> by_key;
  };

  std::size_t values_max_;
  Sync<Known> known_{};
};

}  // namespace holdfast
