// Ctrl-C and SIGTERM as a stop request. Construct in main before any thread exists: the signals are
// then blocked everywhere and taken by one thread of this object.
#pragma once

#include <stop_token>
#include <thread>

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

 private:
  std::stop_source source_;
  std::jthread thread_;
};

}  // namespace holdfast::ops
