#include "web/git_packs.h"

namespace holdfast::web {

GitPacks::GitPacks(std::size_t at_once, std::uint64_t disk_bytes_max)
    : share_(disk_bytes_max / kGitSpoolsShare) {
  auto state = state_.lock();
  state->turns_left = at_once;
  state->disk_left = disk_bytes_max;
}

std::optional<GitPacks::Turn> GitPacks::take_turn(std::string_view asker) {
  auto state = state_.lock();
  std::size_t before = 0;  // who waits in front of him, as far as it matters
  auto first = state->line.begin();
  while (before < state->turns_left && first != state->line.end() && first->second != asker) {
    ++before;
    ++first;
  }
  if (before == state->turns_left) return std::nullopt;
  if (first != state->line.end()) {
    state->waiting.erase(first->second);
    state->line.erase(first);
  }
  --state->turns_left;
  return Turn(*this);
}

void GitPacks::end_turn() {
  auto state = state_.lock();
  ++state->turns_left;
  if (state->changed) state->changed();
}

GitPacks::Place GitPacks::wait(std::string_view asker) {
  auto state = state_.lock();
  const auto [row, is_new] = state->waiting.try_emplace(std::string(asker));
  if (is_new) {
    row->second.number = ++state->numbers;
    state->line.emplace(row->second.number, asker);
  }
  ++row->second.places;
  return {*this, std::string(asker), row->second.number};
}

void GitPacks::leave(const Place& place) {
  auto state = state_.lock();
  const auto row = state->waiting.find(place.asker_);
  // With his turn he left already, and may have come to wait for another.
  if (row == state->waiting.end() || row->second.number != place.number_) return;
  if (--row->second.places > 0) return;
  state->line.erase(place.number_);
  state->waiting.erase(row);
  // Those behind him may have stood back for him.
  if (state->turns_left > 0 && state->changed) state->changed();
}

void GitPacks::set_watch(std::function<void()> changed) {
  state_.lock()->changed = std::move(changed);
}

GitPacks::Room GitPacks::make_room(std::string client) {
  auto state = state_.lock();
  const std::uint64_t number = ++state->numbers;
  if (!client.empty()) state->clients[client].packs.insert(number);
  return {*this, std::move(client), number};
}

GitPacks::Room::Taken GitPacks::take(Room& room, std::uint64_t bytes) {
  auto state = state_.lock();
  const auto client = state->clients.find(room.client_);
  if (client != state->clients.end()) {
    const bool eldest = *client->second.packs.begin() == room.number_;
    if (!eldest && client->second.bytes + bytes > share_) return Room::Taken::ClientFull;
  }
  if (bytes > state->disk_left) return Room::Taken::Full;
  state->disk_left -= bytes;
  room.bytes_ += bytes;
  if (client != state->clients.end()) client->second.bytes += bytes;
  return Room::Taken::Yes;
}

void GitPacks::give_back(const Room& room) {
  auto state = state_.lock();
  state->disk_left += room.bytes_;
  const auto client = state->clients.find(room.client_);
  if (client == state->clients.end()) return;
  client->second.bytes -= room.bytes_;
  client->second.packs.erase(room.number_);
  if (client->second.packs.empty()) state->clients.erase(client);
}

}  // namespace holdfast::web
