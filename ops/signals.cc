#include "ops/signals.h"

#include <csignal>
#include <utility>

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
  sigaddset(&signals, SIGHUP);
  return signals;
}

}  // namespace

Signals::Signals() {
  // A client that hangs up during sendfile(2) must not end the server.
  signal(SIGPIPE, SIG_IGN);
  struct sigaction inherited{};
  hangup_ignored_ = sigaction(SIGHUP, nullptr, &inherited) == 0 && inherited.sa_handler == SIG_IGN;
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::jthread([this](const std::stop_token& ended) {
    const sigset_t waited = stop_signals();
    while (true) {
      int signal = 0;
      sigwait(&waited, &signal);
      if (ended.stop_requested()) return;
      if (signal == SIGHUP) {
        hang_up();
        continue;
      }
      if (source_.stop_requested()) _exit(kInterruptedExitCode);
      source_.request_stop();
    }
  });
}

// Called under the lock on purpose: so the handler's owner knows when it is out of use.
void Signals::hang_up() {
  auto handler = hangup_.lock();
  if (*handler) {
    (*handler)();
  } else if (!hangup_ignored_) {
    source_.request_stop();
  }
}

void Signals::on_hangup(std::function<void()> handler) const {
  *hangup_.lock() = std::move(handler);
}

Signals::~Signals() {
  thread_.request_stop();
  // Wakes the thread and nobody else; a poll instead would cost every verb its period.
  // NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread): it waits for it
  pthread_kill(thread_.native_handle(), SIGTERM);
}

}  // namespace holdfast::ops
