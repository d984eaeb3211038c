// Ctrl-C and SIGTERM as a stop request, and SIGHUP, which is one too until somebody takes it.
// Construct in main before any thread exists: the signals are
// then blocked everywhere and taken by one thread of this object.
#pragma once

#include <functional>
#include <stop_token>
#include <thread>

#include "storage/base/sync.h"

namespace holdfast::ops {

class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Requested by the first SIGINT or SIGTERM; a second one ends the process at once (safe: every
  // write is crash-consistent).
  std::stop_token stop() const { return source_.get_token(); }

  // What SIGHUP does from now on, called on this object's thread; empty: it requests a stop, or
  // nothing where the process was started to ignore it (nohup). Returns when no call of the handler
  // before is under way.
  void on_hangup(std::function<void()> handler) const;

 private:
  void hang_up();

  std::stop_source source_;
  mutable Sync<std::function<void()>> hangup_;
  bool hangup_ignored_ = false;
  std::jthread thread_;
};

}  // namespace holdfast::ops
