#include "tests/fakes/steps.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace holdfast::tests {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAside = ".aside-";

bool is_aside(const fs::path& path) { return path.filename().string().starts_with(kAside); }

}  // namespace

void Steps::arm(Fault fault, int step) {
  auto state = state_.lock();
  state->fault = fault;
  state->left = step;
  state->struck = false;
}

void Steps::heal() { state_.lock()->fault.reset(); }

bool Steps::struck() const { return state_.lock()->struck; }

bool Steps::remembers() const { return state_.lock()->fault == Fault::PowerCut; }

bool Steps::full() const {
  auto state = state_.lock();
  return state->struck && state->fault == Fault::NoSpace;
}

bool Steps::writes_half() const { return state_.lock()->fault == Fault::ShortWrite; }

int Steps::step(Kind kind) {
  auto state = state_.lock();
  if (!state->fault) return 0;
  if (!state->struck && --state->left > 0) return 0;
  return fail_with(*state, kind);
}

// The armed fault's own step, or one behind it.
int Steps::fail_with(State& state, Kind kind) {
  const bool first = !std::exchange(state.struck, true);
  const bool takes_room = kind == Kind::Write || kind == Kind::Name;
  switch (*state.fault) {
    case Fault::PowerCut:
      cut_power(state);
      [[fallthrough]];
    case Fault::Kill:
      std::raise(SIGKILL);
      return EIO;
    case Fault::Io:
      return first ? EIO : 0;
    case Fault::ShortWrite:
      return first && takes_room ? ENOSPC : 0;
    case Fault::NoSpace:
      return kind == Kind::Write ? ENOSPC : 0;
    case Fault::ReadOnly:
      return kind == Kind::Sync ? 0 : EROFS;
  }
  return 0;
}

// Newest first: a name that was changed twice comes back to its first.
void Steps::cut_power(const State& state) {
  for (const auto& [path, ranges] : state.unsynced) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) continue;  // removed since
    for (const Range& range : ranges)
      ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range.offset),
                  static_cast<off_t>(range.length));
    ::close(fd);
  }
  for (const auto& [path, length] : state.grown)
    ::truncate(path.c_str(), static_cast<off_t>(length));
  for (const Change& change : std::views::reverse(state.changes)) {
    if (change.from.empty())
      ::remove(change.to.c_str());
    else
      ::rename(change.to.c_str(), change.from.c_str());
  }
}

void Steps::wrote(const fs::path& path, std::uint64_t offset, std::uint64_t length) {
  state_.lock()->unsynced[path].push_back({offset, length});
}

void Steps::appended(const fs::path& path, std::uint64_t offset) {
  state_.lock()->grown.emplace(path, offset);  // the first since the last sync counts
}

void Steps::synced(const fs::path& path) {
  auto state = state_.lock();
  state->unsynced.erase(path);
  state->grown.erase(path);
}

void Steps::synced_directory(const fs::path& directory) {
  auto state = state_.lock();
  // A name that lasts makes the earlier ones of the same file last too.
  std::vector<fs::path> lasting;
  for (const Change& change : std::views::reverse(state->changes)) {
    const bool here = change.to.parent_path() == directory ||
                      (!change.from.empty() && change.from.parent_path() == directory);
    const bool led_on = std::ranges::find(lasting, change.to) != lasting.end();
    if ((here || led_on) && !change.from.empty()) lasting.push_back(change.from);
    if (here || led_on) lasting.push_back(change.to);
  }
  std::erase_if(state->changes, [&](const Change& change) {
    const bool lasts = std::ranges::find(lasting, change.to) != lasting.end();
    if (lasts && is_aside(change.to)) ::unlink(change.to.c_str());
    return lasts;
  });
}

void Steps::created(const fs::path& path) { state_.lock()->changes.push_back({{}, path}); }

void Steps::renaming(const fs::path& to) {
  auto state = state_.lock();
  const fs::path aside = aside_of(*state, to);
  if (::link(to.c_str(), aside.c_str()) == 0) state->changes.push_back({to, aside});
}

void Steps::renamed(const fs::path& from, const fs::path& to) {
  auto state = state_.lock();
  state->changes.push_back({from, to});
  if (auto moved = state->unsynced.extract(from)) {
    moved.key() = to;
    state->unsynced.insert(std::move(moved));
  }
  if (auto moved = state->grown.extract(from)) {
    moved.key() = to;
    state->grown.insert(std::move(moved));
  }
}

bool Steps::put_aside(const fs::path& path) {
  auto state = state_.lock();
  const fs::path aside = aside_of(*state, path);
  if (::rename(path.c_str(), aside.c_str()) != 0) return false;
  state->changes.push_back({path, aside});
  return true;
}

// In the same directory, whose sync makes the file go for good.
fs::path Steps::aside_of(State& state, const fs::path& path) {
  return path.parent_path() / (std::string(kAside) + std::to_string(++state.aside));
}

}  // namespace holdfast::tests
