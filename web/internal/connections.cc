#include "web/internal/connections.h"

#include <algorithm>

#include "web/access.h"
#include "web/internal/log.h"
#include "web/limits.h"

namespace holdfast::web {

Connections::Connections(std::size_t most, Metrics* metrics)
    : most_(most),
      share_(std::max(most / kConnectionsShare, std::min(most, kConnectionsOfOneMin))),
      metrics_(metrics) {}

std::optional<Connections::Place> Connections::take(Whose whose, const std::string& address) {
  std::string client = whose == Whose::Client ? address_group(address) : std::string();
  if (whose != Whose::Operator) {
    if (const auto reason = count(client)) {
      tell(*reason, address);
      return std::nullopt;
    }
  }
  open_.fetch_add(1);
  if (metrics_ != nullptr) metrics_->connection_opened();
  return Place(*this, whose != Whose::Operator, std::move(client));
}

// Counts a stranger's; else why not.
std::optional<Metrics::Refused> Connections::count(const std::string& client) {
  auto state = state_.lock();
  if (state->strangers >= most_) return Metrics::Refused::All;
  if (!client.empty()) {
    auto& held = state->clients[client];
    if (held >= share_) return Metrics::Refused::Client;
    ++held;
  }
  ++state->strangers;
  return std::nullopt;
}

void Connections::give_back(const Place& place) noexcept {
  if (place.counted_) {
    auto state = state_.lock();
    --state->strangers;
    const auto held = state->clients.find(place.client_);
    if (held != state->clients.end() && --held->second == 0) state->clients.erase(held);
  }
  open_.fetch_sub(1);
  if (metrics_ != nullptr) metrics_->connection_closed();
}

// One line for all of a while: whoever fills the connections is not to fill the log as well.
void Connections::tell(Metrics::Refused reason, const std::string& address) {
  if (metrics_ != nullptr) metrics_->connection_refused(reason);
  const auto now = std::chrono::steady_clock::now();
  std::size_t refused = 0;
  {
    auto state = state_.lock();
    ++state->refused;
    if (state->told_at && now - *state->told_at < kRefusedLogPause) return;
    state->told_at = now;
    refused = std::exchange(state->refused, 0);
  }
  log()->warn("connections_refused count={} reason={} last={} open={} share={}", refused,
              Metrics::to_text(reason), address, open(), share_);
}

}  // namespace holdfast::web
