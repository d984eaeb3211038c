// How many connections there are and whose: nobody takes them all. One client gets a share of what
// strangers may have together; proxies on the list speak for many and get no share of their own,
// the operator's own connections are not bounded. One object for a server. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "storage/base/sync.h"
#include "web/metrics.h"

namespace holdfast::web {

class Connections {
 public:
  // Of strangers at most `most`. `metrics` is borrowed and may be nullptr.
  Connections(std::size_t most, Metrics* metrics);

  enum class Whose { Operator, Proxy, Client };

  // One connection's; gives it back with its life. Outlived by its Connections.
  class Place {
   public:
    Place(Place&& other) noexcept
        : all_(std::exchange(other.all_, nullptr)),
          counted_(other.counted_),
          client_(std::move(other.client_)) {}

    Place& operator=(Place&&) = delete;

    ~Place() {
      if (all_ != nullptr) all_->give_back(*this);
    }

   private:
    friend class Connections;

    Place(Connections& all, bool counted, std::string client)
        : all_(&all), counted_(counted), client_(std::move(client)) {}

    Connections* all_;
    bool counted_;        // among those of strangers
    std::string client_;  // whose share it is of, as address_group() has it; "": nobody's
  };

  // Nothing when there is none left for him; the metrics count it, and the log says so at times.
  [[nodiscard]] std::optional<Place> take(Whose whose, const std::string& address);

  std::size_t open() const noexcept { return open_.load(); }

  // What one client may have.
  std::size_t share() const noexcept { return share_; }

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  struct State {
    std::size_t strangers = 0;
    std::map<std::string, std::size_t, std::less<>> clients;
    std::size_t refused = 0;  // since the log spoke of them
    std::optional<SteadyTime> told_at;
  };

  std::optional<Metrics::Refused> count(const std::string& client);
  void give_back(const Place& place) noexcept;
  void tell(Metrics::Refused reason, const std::string& address);

  std::size_t most_;
  std::size_t share_;
  Metrics* metrics_;
  std::atomic<std::size_t> open_{0};
  Sync<State> state_;
};

}  // namespace holdfast::web
