#include "web/git_packs.h"

namespace holdfast::web {

GitPacks::GitPacks(std::size_t at_once, std::size_t disk_bytes_max) : disk_(disk_bytes_max) {
  state_.lock()->turns_left = at_once;
}

std::optional<GitPacks::Turn> GitPacks::take_turn() {
  auto state = state_.lock();
  if (state->turns_left == 0) return std::nullopt;
  --state->turns_left;
  return Turn(*this);
}

void GitPacks::set_watch(std::function<void()> changed) {
  state_.lock()->changed = std::move(changed);
}

void GitPacks::end_turn() {
  auto state = state_.lock();
  ++state->turns_left;
  if (state->changed) state->changed();
}

}  // namespace holdfast::web
