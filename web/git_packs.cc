#include "web/git_packs.h"

namespace holdfast::web {

GitPacks::GitPacks(const GitPackLimits& limits)
    : waiting_max_(limits.waiting), share_(limits.disk_bytes / kGitSpoolsShare) {
  auto state = state_.lock();
  state->turns_left = limits.at_once;
  state->disk_left = limits.disk_bytes;
}

template <class Step>
void GitPacks::State::change(const std::string& name, Step step) {
  Client& client = clients[name];
  round.erase({client.turns, client.since});
  step(client);
  if (!client.line.empty()) {
    round.emplace(std::pair(client.turns, client.since), name);
  } else if (client.turns == 0 && client.packs.empty()) {
    clients.erase(name);
  }
}

// Who has no place is behind all who have one and no more turns than he.
bool GitPacks::State::is_next(const PackAsker& asker) const {
  if (round.empty()) return true;
  const auto& [rank, first] = *round.begin();
  const auto row = clients.find(asker.client);
  if (row == clients.end()) return rank.first > 0;
  const Client& client = row->second;
  const auto place = client.places.find(asker.request);
  if (place == client.places.end()) return rank.first > client.turns;
  return first == asker.client && client.line.begin()->first == place->second;
}

void GitPacks::State::tell() const {
  if (turns_left > 0 && changed) changed();
}

std::optional<GitPacks::Turn> GitPacks::take_turn(const PackAsker& asker) {
  auto state = state_.lock();
  if (state->turns_left == 0 || !state->is_next(asker)) return std::nullopt;
  const std::string name(asker.client);
  state->change(name, [&](Client& client) {
    const auto place = client.places.find(asker.request);
    if (place != client.places.end()) {
      client.line.erase(place->second);
      client.places.erase(place);
    }
    ++client.turns;
    client.since = ++state->numbers;
  });
  --state->turns_left;
  // Others may have stood back for him though there are turns for more than one.
  if (!state->round.empty()) state->tell();
  return Turn(*this, name, 0);
}

void GitPacks::end_turn(const std::string& client, std::uint64_t /*number*/) {
  auto state = state_.lock();
  state->change(client, [](Client& his) { --his.turns; });
  ++state->turns_left;
  state->tell();
}

std::optional<GitPacks::Place> GitPacks::wait(const PackAsker& asker) {
  auto state = state_.lock();
  std::uint64_t number = 0;
  const std::string name(asker.client);
  state->change(name, [&](Client& client) {
    auto row = client.places.find(asker.request);
    if (row == client.places.end()) {
      if (!name.empty() && client.places.size() >= waiting_max_) return;
      row = client.places.emplace(asker.request, ++state->numbers).first;
      if (client.line.empty()) client.since = row->second;
      client.line[row->second].request = asker.request;
    }
    number = row->second;
    ++client.line[number].places;
  });
  if (number == 0) return std::nullopt;
  return Place(*this, name, number);
}

void GitPacks::leave(const std::string& client, std::uint64_t number) {
  auto state = state_.lock();
  const auto row = state->clients.find(client);
  // With his turn he left already, and may have come to wait for another.
  if (row == state->clients.end() || !row->second.line.contains(number)) return;
  if (--row->second.line[number].places > 0) return;
  state->change(client, [&](Client& his) {
    const auto place = his.line.find(number);
    his.places.erase(place->second.request);
    his.line.erase(place);
  });
  // Those behind him may have stood back for him.
  state->tell();
}

std::size_t GitPacks::waiting() {
  auto state = state_.lock();
  std::size_t requests = 0;
  for (const auto& [name, client] : state->clients) requests += client.line.size();
  return requests;
}

void GitPacks::set_watch(std::function<void()> changed) {
  state_.lock()->changed = std::move(changed);
}

GitPacks::Room GitPacks::make_room(const std::string& client) {
  auto state = state_.lock();
  const std::uint64_t number = ++state->numbers;
  state->change(client, [&](Client& his) { his.packs.emplace(number, 0); });
  return {*this, client, number};
}

GitPacks::Room::Taken GitPacks::take(const Room& room, std::uint64_t bytes) {
  auto state = state_.lock();
  Client& client = state->clients[room.client_];
  const auto eldest = client.packs.begin()->first;
  const bool has_share = !room.client_.empty() && eldest != room.number_;
  if (has_share && client.bytes + bytes > share_) return Room::Taken::ClientFull;
  if (bytes > state->disk_left) return Room::Taken::Full;
  state->disk_left -= bytes;
  client.packs[room.number_] += bytes;
  client.bytes += bytes;
  return Room::Taken::Yes;
}

void GitPacks::give_back(const std::string& client, std::uint64_t number) {
  auto state = state_.lock();
  state->change(client, [&](Client& his) {
    const auto pack = his.packs.find(number);
    state->disk_left += pack->second;
    his.bytes -= pack->second;
    his.packs.erase(pack);
  });
}

}  // namespace holdfast::web
