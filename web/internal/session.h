// One connection: read a request, answer it, again. Everything happens on the thread of its
// io_context, so nothing here is locked; only the pool's work runs elsewhere, while the session
// waits for it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "storage/base/file.h"
#include "web/access_log.h"
#include "web/guards.h"
#include "web/handler.h"
#include "web/memory_budget.h"
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
  MemoryBudget& bodies;             // of the bodies that requests under way keep
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
  UniqueFd fd;           // an accepted, non-blocking socket
  bool trusted = false;  // it came by the Unix socket
  std::string peer;      // the other end's address
};

// Starts a session; `on_end` is called once, on the io_context's thread, perhaps before this
// returns. Shared with the handlers of its own pending operations. When it throws, the socket is
// closed and nobody calls `on_end`.
std::shared_ptr<Session> start_session(SessionStart start, std::function<void()> on_end);

}  // namespace holdfast::web
