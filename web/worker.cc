#include "web/internal/worker.h"

#include <cerrno>
#include <list>
#include <map>
#include <thread>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "web/internal/caller.h"
#include "web/internal/log.h"

namespace holdfast::web {
namespace {

namespace asio = boost::asio;
using asio::awaitable;
using asio::redirect_error;
using asio::use_awaitable;
using boost::system::error_code;

constexpr std::chrono::milliseconds kSweepInterval{500};
constexpr std::chrono::milliseconds kAcceptPause{100};  // after running out of descriptors

struct Listener {
  asio::posix::stream_descriptor socket;
  bool trusted;
};

void log_end(const std::exception_ptr& error) noexcept { log_failure("worker_failed", error); }

}  // namespace

struct Worker::State {
  State(const SessionContext& session_context, Connections& all_connections, Start session_start)
      : context(session_context),
        connections(all_connections),
        start(std::move(session_start)),
        sweep_timer(io),
        news_timer(io) {}

  // The listener is one of ours.
  awaitable<void> accept_from(Listener* listener);
  awaitable<void> sweep();
  // Takes all connections that wait; false when the process has no descriptor left for one.
  bool accept_waiting(Listener& listener);
  void open_session(UniqueFd fd, bool trusted);
  void spread_news();
  void run();

  struct Open {
    Connections::Place place;
    std::shared_ptr<Session> session;  // shared with its own pending operations
  };

  const SessionContext& context;
  Connections& connections;
  Start start;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  asio::steady_timer sweep_timer;
  asio::steady_timer news_timer;
  std::atomic<bool> news_coming{false};
  std::list<Listener> listeners;
  std::map<std::uint64_t, Open> sessions;
  std::uint64_t sessions_opened = 0;
  bool stopping = false;
  std::jthread thread;
};

awaitable<void> Worker::State::accept_from(Listener* listener) {
  asio::steady_timer pause(io);
  while (listener->socket.is_open()) {
    error_code error;
    co_await listener->socket.async_wait(asio::posix::stream_descriptor::wait_read,
                                         redirect_error(use_awaitable, error));
    if (error) co_return;
    if (accept_waiting(*listener)) continue;
    pause.expires_after(kAcceptPause);
    co_await pause.async_wait(redirect_error(use_awaitable, error));
  }
}

bool Worker::State::accept_waiting(Listener& listener) {
  while (true) {
    UniqueFd fd(
        ::accept4(listener.socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.valid()) {
      try {
        open_session(std::move(fd), listener.trusted);
      } catch (const std::exception& error) {
        log()->error("session_not_started error=\"{}\"", error.what());
      }
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
    if (errno == EINTR || errno == ECONNABORTED) continue;
    log()->warn("accept_failed errno={}", errno);
    return false;
  }
}

void Worker::State::open_session(UniqueFd fd, bool trusted) {
  if (stopping) return;
  const std::string peer = trusted ? "unix" : peer_address(fd.get());
  using Whose = Connections::Whose;
  const Whose whose = trusted                                ? Whose::Operator
                      : context.guards.speaks_for_many(peer) ? Whose::Proxy
                                                             : Whose::Client;
  auto place = connections.take(whose, peer);
  if (!place) return;
  const int on = 1;
  if (!trusted) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto number = ++sessions_opened;
  // Before it starts: it may have ended when start() returns.
  sessions.emplace(number, Open{.place = *std::move(place), .session = nullptr});
  try {
    auto session =
        start({.io = io, .context = context, .fd = std::move(fd), .trusted = trusted, .peer = peer},
              [this, number] { sessions.erase(number); });
    const auto open = sessions.find(number);
    if (open != sessions.end()) open->second.session = std::move(session);
  } catch (...) {
    sessions.erase(number);
    throw;
  }
}

awaitable<void> Worker::State::sweep() {
  const Timeouts& timeouts = context.timeouts;
  const auto shortest =
      std::min({timeouts.header, timeouts.body, timeouts.idle, timeouts.send, timeouts.linger});
  const auto interval = std::clamp(shortest / 4, std::chrono::milliseconds(1), kSweepInterval);
  while (!stopping) {
    sweep_timer.expires_after(interval);
    error_code error;
    co_await sweep_timer.async_wait(redirect_error(use_awaitable, error));
    if (error) co_return;
    const auto now = std::chrono::steady_clock::now();
    for (const auto& [number, open] : sessions) open.session->expire(now);
    if (context.access_log != nullptr) context.access_log->flush();
  }
}

// One look for all the changes of the next moment.
void Worker::State::spread_news() {
  news_timer.expires_after(kNewsPause);
  news_timer.async_wait([this](const error_code& error) {
    if (error) return;
    news_coming = false;
    for (const auto& [number, open] : sessions) open.session->tell_news();
  });
}

// What escapes one handler is no reason to leave the others.
void Worker::State::run() {
  while (true) {
    try {
      io.run();
      return;
    } catch (...) {
      log_end(std::current_exception());
    }
  }
}

Worker::Worker(const SessionContext& context, Connections& connections, Start start)
    : state_(std::make_unique<State>(context, connections, std::move(start))) {}

Worker::~Worker() {
  close_all();
  asio::post(state_->io, [state = state_.get()] {
    state->stopping = true;
    state->sweep_timer.cancel();
    state->news_timer.cancel();
    state->work.reset();
  });
  if (!state_->thread.joinable()) return;
  state_->thread.join();
}

void Worker::listen(UniqueFd listener, bool trusted) {
  state_->listeners.push_back(
      Listener{asio::posix::stream_descriptor(state_->io, listener.release()), trusted});
}

void Worker::start() {
  for (Listener& listener : state_->listeners) {
    asio::co_spawn(state_->io, state_->accept_from(&listener), log_end);
  }
  asio::co_spawn(state_->io, state_->sweep(), log_end);
  state_->thread = std::jthread([state = state_.get()] { state->run(); });
}

void Worker::tell_news() {
  if (state_->news_coming.exchange(true)) return;
  asio::post(state_->io, [state = state_.get()] { state->spread_news(); });
}

void Worker::stop_accepting() {
  asio::post(state_->io, [state = state_.get()] {
    for (Listener& listener : state->listeners) {
      error_code ignored;
      listener.socket.close(ignored);
    }
  });
}

void Worker::close_idle() {
  asio::post(state_->io, [state = state_.get()] {
    for (const auto& [number, open] : state->sessions) {
      if (open.session->idle()) {
        open.session->close();
      } else {
        open.session->tell_news();
      }
    }
  });
}

void Worker::close_all() {
  stop_accepting();
  asio::post(state_->io, [state = state_.get()] {
    for (const auto& [number, open] : state->sessions) open.session->close();
  });
}

}  // namespace holdfast::web
