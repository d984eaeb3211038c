// One thread of the server: its io_context, its listening sockets, its sessions.
#pragma once

#include <functional>
#include <memory>

#include "storage/base/file.h"
#include "web/internal/connections.h"
#include "web/internal/session.h"

namespace holdfast::web {

// Members may be called from any thread; the work happens on the worker's own. What goes wrong with
// one connection ends that one, and the log says so.
class Worker {
 public:
  using Start = std::function<std::shared_ptr<Session>(SessionStart, std::function<void()> on_end)>;

  // Borrows both; `connections` are those of all workers of a server.
  Worker(const SessionContext& context, Connections& connections, Start start = start_session);
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
