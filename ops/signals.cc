#include "ops/signals.h"

#include <csignal>

#include <pthread.h>
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
    while (true) {
      int signal = 0;
      sigwait(&waited, &signal);
      if (ended.stop_requested()) return;
      if (source_.stop_requested()) _exit(kInterruptedExitCode);
      source_.request_stop();
    }
  });
}

Signals::~Signals() {
  thread_.request_stop();
  // Wakes the thread and nobody else; a poll instead would cost every verb its period.
  pthread_kill(thread_.native_handle(),
               SIGTERM);  // NOLINT(*-bad-signal-to-kill-thread): it waits for it
}

}  // namespace holdfast::ops
