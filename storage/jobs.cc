#include "storage/jobs.h"

#include <algorithm>
#include <array>

namespace holdfast::storage {

namespace {

// In the order of JobState.
constexpr std::array<std::string_view, 5> kNames = {"queued", "running", "done", "failed",
                                                    "cancelled"};
static_assert(kNames.size() == static_cast<std::size_t>(JobState::Cancelled) + 1);

}  // namespace

std::string_view to_text(JobState state) noexcept {
  return kNames[static_cast<std::size_t>(state)];
}

std::optional<JobState> parse_job_state(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<JobState>(found - kNames.begin());
}

}  // namespace holdfast::storage
