// One connection: read a request, answer it, again. Everything happens on the thread of its
// io_context, so nothing here is locked; only the pool's work runs elsewhere, while the session
// waits for it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>

#include "web/access_log.h"
#include "web/guards.h"
#include "web/handler.h"
#include "web/server.h"
#include "web/tls.h"

// NOLINTBEGIN(readability-identifier-naming): Asio's own names.
namespace boost::asio {
class io_context;
class thread_pool;
}  // namespace boost::asio

// NOLINTEND(readability-identifier-naming)

namespace holdfast::web {

using SteadyTime = std::chrono::steady_clock::time_point;

// What all sessions of a server work with; outlives them.
struct SessionContext {
  const Services& services;
  Timeouts timeouts;
  boost::asio::thread_pool& pool;
  const std::atomic<bool>& draining;
  AccessLog* access_log = nullptr;  // nullptr: none
  Guards& guards;
  TlsContext* tls = nullptr;  // nullptr: TCP connections speak plainly
};

class Session {
 public:
  virtual ~Session() = default;
  // Closes the socket when its deadline has passed; the session then ends by itself.
  virtual void expire(SteadyTime now) noexcept = 0;
  virtual void close() noexcept = 0;
  // Between two requests, or before the first.
  virtual bool idle() const noexcept = 0;
  // Something that a long poll waits for may have changed.
  virtual void tell_news() noexcept = 0;
};

struct SessionStart {
  boost::asio::io_context& io;
  const SessionContext& context;
  int fd = -1;           // an accepted, non-blocking socket; owned by the session from here on
  bool trusted = false;  // it came by the Unix socket
};

// Starts a session; `on_end` is called once, on the io_context's thread. Shared with the handlers
// of its own pending operations.
std::shared_ptr<Session> start_session(const SessionStart& start, std::function<void()> on_end);

}  // namespace holdfast::web
