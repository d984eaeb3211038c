// Waiting for what another thread does.
#pragma once

#include <chrono>
#include <thread>

namespace holdfast::tests {

// Until `ready` says so; false when it does not for a minute, which is far more than it takes.
template <class Ready>
bool wait_until(Ready ready) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes{1};
  while (!ready()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace holdfast::tests
