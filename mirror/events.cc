#include "mirror/events.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace holdfast::mirror {
namespace {

// In the order of the enumerators.
constexpr std::array<std::string_view, 15> kNames = {
    "sync-done",      "sync-skipped",    "hole-opened",     "hole-closed",
    "failed-over",    "ref-rewritten",   "ref-deleted",     "ref-dropped",
    "ref-restored",   "repository-gone", "repository-back", "repository-renamed",
    "gating-changed", "license-changed", "revision-expired"};

class NoEvents final : public EventSink {
 public:
  void emit(const Event&) noexcept override {}
};

}  // namespace

std::string_view to_text(EventKind kind) noexcept { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<EventKind> parse_event_kind(std::string_view text) noexcept {
  const auto* const found = std::ranges::find(kNames, text);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<EventKind>(found - kNames.begin());
}

EventSink& no_events() noexcept {
  static NoEvents sink;
  return sink;
}

}  // namespace holdfast::mirror
