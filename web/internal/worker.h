// One thread of the server: its io_context, its listening sockets, its sessions.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "storage/base/file.h"
#include "web/internal/session.h"

namespace holdfast::web {

// Counted over all workers of a server.
struct ConnectionCount {
  std::atomic<std::size_t> open{0};
  std::size_t open_max = kConnectionsMax;
};

// Members may be called from any thread; the work happens on the worker's own.
class Worker {
 public:
  Worker(const SessionContext& context, ConnectionCount& count);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();  // stops and joins

  // Accepts from a listening, non-blocking socket. Before start() only.
  void listen(UniqueFd listener, bool trusted);
  void start();

  // A moment later all long polls look again. Cheap, and may be called often.
  void tell_news();

  void stop_accepting();
  // And ends the waiting of long polls.
  void close_idle();
  void close_all();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::web
