#include "ops/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace holdfast::ops {
namespace {

constexpr int kInterruptedExitCode = 130;

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

Signals::Signals() {
  // A client that hangs up during sendfile(2) must not end the server.
  signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::jthread([this](const std::stop_token& ended) {
    const sigset_t waited = stop_signals();
    const timespec poll{.tv_sec = 0, .tv_nsec = 200'000'000};
    while (!ended.stop_requested()) {
      if (sigtimedwait(&waited, nullptr, &poll) < 0) continue;
      if (source_.stop_requested()) _exit(kInterruptedExitCode);
      source_.request_stop();
    }
  });
}

Signals::~Signals() = default;

}  // namespace holdfast::ops
