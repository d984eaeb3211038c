// Runs a body on each SIMD target of this CPU in turn.
#pragma once

#include <string>

#include <hwy/highway.h>
#include <hwy/targets.h>

namespace holdfast::tests {

// Calls body(name of the target) for the widest target first and the scalar one last; not for use
// from several threads.
template <class Body>
void on_every_target(const Body& body) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body(std::string(hwy::TargetName(target)));
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace holdfast::tests
