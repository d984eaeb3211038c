#include "web/hot_files.h"

#include <utility>

#include "storage/limits.h"

namespace holdfast::web {
namespace {

// A small object lies in memory as long as its reader lives; any other keeps a file open.
bool is_small(const HotFile& file) noexcept {
  return file.version.size_bytes <= storage::kSmallObjectMax;
}

}  // namespace

HotFiles::Files HotFiles::clear(State& state, std::uint64_t generation) {
  state.open_files = 0;
  state.held_bytes = 0;
  state.generation = generation;
  return std::exchange(state.files, {});
}

std::shared_ptr<const HotFile> HotFiles::find(std::string_view target, std::uint64_t generation) {
  Files dropped;  // closed after the lock is gone
  auto state = state_.lock();
  if (generation > state->generation) dropped = clear(*state, generation);
  if (state->generation != generation) return nullptr;
  const auto found = state->files.find(target);
  return found == state->files.end() ? nullptr : found->second;
}

void HotFiles::put(std::string_view target, std::uint64_t generation,
                   std::shared_ptr<const HotFile> file) {
  const std::uint64_t bytes = target.size() + (is_small(*file) ? file->version.size_bytes : 0);
  const std::size_t open_files = is_small(*file) ? 0 : 1;
  Files dropped;  // closed after the lock is gone
  auto state = state_.lock();
  if (generation < state->generation) return;
  // A full table is dropped whole: it refills within milliseconds, and needs no bookkeeping.
  const bool full = state->files.size() == kHotFilesMax ||
                    state->open_files + open_files > kHotOpenFilesMax ||
                    state->held_bytes + bytes > kHotBytesMax;
  if (full || generation > state->generation) dropped = clear(*state, generation);
  if (!state->files.try_emplace(std::string(target), std::move(file)).second) return;
  state->open_files += open_files;
  state->held_bytes += bytes;
}

}  // namespace holdfast::web
