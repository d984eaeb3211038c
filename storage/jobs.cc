#include "storage/jobs.h"

#include <array>

namespace holdfast::storage {

std::string_view to_text(JobState state) noexcept {
  // In the order of JobState.
  constexpr std::array<std::string_view, 5> kNames = {"queued", "running", "done", "failed",
                                                      "cancelled"};
  static_assert(kNames.size() == static_cast<std::size_t>(JobState::Cancelled) + 1);
  return kNames[static_cast<std::size_t>(state)];
}

}  // namespace holdfast::storage
