// The connection's coroutine. On this compiler an aggregate or a capturing lambda built inside a
// co_await expression is freed too early or twice (GCC bug 95599): every such value is named first.
#include "web/internal/session.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/socket.h>

#include "web/internal/caller.h"
#include "web/internal/exchange.h"
#include "web/internal/input_buffer.h"
#include "web/internal/log.h"
#include "web/internal/outgoing.h"

namespace holdfast::web {
namespace {

namespace asio = boost::asio;
using asio::redirect_error;
using boost::system::error_code;
using std::chrono::steady_clock;

// The executor by its own type: the type-erased default costs a tenth of a small request.
using Executor = asio::io_context::executor_type;
template <class T>
using awaitable = asio::awaitable<T, Executor>;
using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;
using Timer = asio::basic_waitable_timer<steady_clock, asio::wait_traits<steady_clock>, Executor>;
// As Asio spells it. NOLINTNEXTLINE(readability-identifier-naming)
constexpr asio::use_awaitable_t<Executor> use_awaitable;

// Closed, whatever happens, by one of the two.
Socket take_socket(SessionStart& start) {
  Socket socket(start.io);
  socket.assign({start.trusted ? AF_UNIX : AF_INET, 0}, start.fd.get());
  start.fd.release();
  return socket;
}

class Connection final : public Session, public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(SessionStart start)
      : context_(start.context),
        socket_(take_socket(start)),
        waiting_(start.io),
        trusted_(start.trusted),
        exchange_(start.context,
                  {.trusted = start.trusted,
                   .loopback = !start.trusted && is_loopback_peer(socket_.native_handle()),
                   .tls = start.context.tls != nullptr && !start.trusted,
                   .peer = std::move(start.peer)}) {}

  void spawn(std::function<void()> on_end) {
    auto self = shared_from_this();
    // Not awaited, so the captures live in the operation itself; they keep the session alive.
    asio::co_spawn(
        socket_.get_executor(), [self]() -> awaitable<void> { return self->serve(); },
        [self, on_end = std::move(on_end)](const std::exception_ptr& error) {
          log_failure("session_failed", error);
          self->drop_intake();
          self->close();
          on_end();
        });
  }

  void expire(SteadyTime now) noexcept override {
    if (now >= deadline_) close();
  }

  void close() noexcept override {
    error_code ignored;
    if (pool_sends_) {
      // The descriptor's number must not become another connection's under the pool's hands.
      socket_.shutdown(Socket::shutdown_both, ignored);
    } else {
      socket_.close(ignored);
    }
    tell_news();
  }

  bool idle() const noexcept override { return idle_; }

  void tell_news() noexcept override {
    has_news_ = true;
    waiting_.cancel();
  }

 private:
  void give(std::chrono::milliseconds time) noexcept { give(time, steady_clock::now()); }

  void give(std::chrono::milliseconds time, SteadyTime now) noexcept { deadline_ = now + time; }

  void give_all_time() noexcept { deadline_ = SteadyTime::max(); }

  // One request after the other. What every request passes through stands here and not in
  // coroutines of its own: their frames would be a good part of a small answer's cost.
  awaitable<void> serve() {
    auto now = steady_clock::now();
    bool keep = true;
    if (context_.tls != nullptr && !trusted_) {
      tls_ = context_.tls->accept(socket_.native_handle());
      give(context_.timeouts.header, now);
      const std::span<char> nowhere;
      const std::size_t shaken = co_await run_tls(nowhere);
      keep = shaken > 0;
    }
    while (keep && socket_.is_open()) {
      start_request(now);
      while (!take_unread()) {
        if (reader_.state() == RequestReader::State::Head) {
          co_await choose_body();
          continue;
        }
        if (asks_to_continue()) {
          outgoing_.start() = "HTTP/1.1 100 Continue\r\n\r\n";
          const bool sent = co_await send_rest();
          if (!sent) co_return;
        }
        const std::span<char> room = input_.room();
        error_code error;
        std::size_t got = 0;
        if (tls_) {
          got = co_await run_tls(room);
        } else {
          const asio::mutable_buffer buffer(room.data(), room.size());
          got = co_await socket_.async_read_some(buffer, redirect_error(use_awaitable, error));
        }
        if (error || got == 0) {
          end_tls();
          co_return;
        }
        now = steady_clock::now();
        took(got, now);
        if (exchange_.streams()) co_await put_on_pool(got == room.size());
      }
      if (refused_ != 0) {
        exchange_.refuse(refused_);
        drop_intake();
        give(context_.timeouts.send);
      } else if (!exchange_.streams() && exchange_.answer_at_once()) {
        give(context_.timeouts.send, now);
      } else {
        co_await respond();
        give(context_.timeouts.send);
      }
      keep = !exchange_.ends() && reader_.keeps_alive() && !context_.draining.load();
      exchange_.prepare(keep);
      bool sent = push(Outgoing::Disk::Never) == Outgoing::Progress::Done;
      if (!sent) sent = co_await send_rest();
      if (sent && exchange_.delivery().is_waiting()) sent = co_await send_arriving();
      const auto started = std::exchange(now, steady_clock::now());
      exchange_.finish(sent, now - started);
      if (exchange_.ends()) {
        if (sent) co_await linger();
        co_return;
      }
      // Behind the thread's other connections: by then a busy client has sent its next request, and
      // one call reads it; at once there would be nothing yet, and two calls would be needed.
      if (keep && sent && input_.empty()) {
        co_await asio::post(socket_.get_executor(), use_awaitable);
      }
      // A drain that began meanwhile has closed the idle connections already: do not become one.
      keep = keep && sent && !context_.draining.load();
    }
    end_tls();
  }

  void start_request(SteadyTime now) {
    exchange_.restart();
    refused_ = 0;
    continued_ = false;
    in_body_ = false;
    idle_ = input_.empty();
    if (idle_) {
      // Thousands may stay so for long: what this one needed is not kept for its next request.
      input_.shrink();
      exchange_.shrink();
      if (tls_) tls_->shrink();
    }
    give(idle_ ? context_.timeouts.idle : context_.timeouts.header, now);
  }

  // Hands what is unread to the reader. True when the request is complete, refused, or answered
  // before its body came; else there is room for more bytes.
  bool take_unread() {
    if (exchange_.ends() || (exchange_.streams() && !exchange_.wants_more())) return true;
    input_.take(reader_.put(input_.unread()));
    if (reader_.state() == RequestReader::State::NeedsMore) {
      if (input_.make_room()) return false;
      refused_ = 431;
    } else if (reader_.state() == RequestReader::State::Head) {
      return false;
    } else if (reader_.state() == RequestReader::State::Refused) {
      refused_ = reader_.status();
    }
    idle_ = false;
    give_all_time();
    return true;
  }

  // What becomes of the body whose head was just read.
  awaitable<void> choose_body() {
    const auto next = exchange_.take_head();
    give_all_time();
    if (next == Exchange::Next::Begin) {
      std::function<void()> begin = [this] { exchange_.begin_intake(); };
      co_await on_pool(std::move(begin));
      input_.make_room();
      if (exchange_.wants_more()) co_await put_on_pool(false);
    } else {
      std::function<void()> check = [this] { exchange_.check_head(); };
      if (next == Exchange::Next::Check) co_await make_answer(std::move(check));
      exchange_.settle_body();
    }
    in_body_ = true;
    give(context_.timeouts.body);
  }

  // Storing what has come is the pool's work; what is left is no piece of the body. Who fills the
  // buffer has more to send.
  awaitable<void> put_on_pool(bool filled) {
    give_all_time();
    std::function<void()> put = [this] { input_.take(exchange_.put(input_.unread())); };
    co_await on_pool(std::move(put));
    if (filled && exchange_.wants_more()) input_.widen();
    give(context_.timeouts.body);
  }

  void drop_intake() {
    if (!exchange_.streams()) return;
    asio::post(context_.pool, [dropped = exchange_.drop_intake()]() mutable { dropped.reset(); });
  }

  bool asks_to_continue() {
    if (continued_ || !reader_.expects_continue()) return false;
    continued_ = true;
    return true;
  }

  void took(std::size_t bytes, SteadyTime now) {
    input_.add(bytes);
    if (idle_) {
      idle_ = false;
      give(context_.timeouts.header, now);
    } else if (reader_.head_is_read() && !in_body_) {
      in_body_ = true;
      give(context_.timeouts.body, now);
    }
  }

  // What the client still sends is read for a moment, so that the answer is not lost to a reset.
  awaitable<void> linger() {
    end_tls();
    ::shutdown(socket_.native_handle(), SHUT_WR);
    give(context_.timeouts.linger);
    while (true) {
      input_.clear();
      error_code error;
      const asio::mutable_buffer room(input_.room().data(), input_.room().size());
      co_await socket_.async_read_some(room, redirect_error(use_awaitable, error));
      if (error) co_return;
    }
  }

  // Asks again after each piece of news while the answer says that nothing has changed yet.
  awaitable<void> respond() {
    const auto started = steady_clock::now();
    do {
      has_news_ = false;
      co_await ask();
      if (exchange_.wait_max().count() == 0 || context_.draining.load()) co_return;
      co_await wait_for_news(started + exchange_.wait_max());
    } while (has_news_ && !has_left() && steady_clock::now() < started + exchange_.wait_max());
  }

  // No news when the time is over, or nobody waits for it any more.
  awaitable<void> wait_for_news(SteadyTime until) {
    for (auto now = steady_clock::now(); !has_news_ && !has_left() && now < until;
         now = steady_clock::now()) {
      waiting_.expires_at(std::min(until, now + kWaiterLook));
      error_code woken;
      co_await waiting_.async_wait(redirect_error(use_awaitable, woken));
    }
  }

  // Whether nobody waits for the answer any more; behind bytes that are not read yet it cannot be
  // told.
  bool has_left() {
    char next;
    const ssize_t got = ::recv(socket_.native_handle(), &next, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  }

  awaitable<void> ask() {
    give_all_time();
    const bool streams = exchange_.streams();
    if (!streams && answered_here()) co_return;
    std::function<void()> answer = [this, streams] {
      streams ? exchange_.finish_intake() : exchange_.answer_on_pool();
    };
    co_await make_answer(std::move(answer));
  }

  // As below, on the session's own thread: false when the pool has to go on.
  bool answered_here() {
    try {
      return exchange_.answer();
    } catch (const std::exception& error) {
      exchange_.fail(error);
      return true;
    }
  }

  // What it throws is an answer too.
  awaitable<void> make_answer(std::function<void()> work) {
    try {
      co_await on_pool(std::move(work));
    } catch (const std::exception& error) {
      exchange_.fail(error);
    }
  }

  // Runs `work` on the pool; resumes on the session's own thread, whose io_context the guard keeps
  // running meanwhile, with what `work` threw.
  awaitable<void> on_pool(std::function<void()> work) {
    std::exception_ptr failed;
    auto start = [this, &work, &failed](auto handler) {
      auto executor = socket_.get_executor();
      auto guard = asio::make_work_guard(executor);
      auto task = [executor, guard = std::move(guard), &work, &failed,
                   handler = std::move(handler)]() mutable {
        try {
          work();
        } catch (...) {
          failed = std::current_exception();
        }
        asio::post(executor, std::move(handler));
      };
      asio::post(context_.pool, std::move(task));
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(start,
                                                                                 use_awaitable);
    if (failed) std::rethrow_exception(failed);
  }

  // The rest of a file that is still on its way here, as it comes. False, which ends the connection
  // in the middle of the body, when it will not come.
  awaitable<bool> send_arriving() {
    auto waits_until = steady_clock::now() + kArrivalTimeout;
    while (exchange_.delivery().is_waiting()) {
      has_news_ = false;
      if (!exchange_.take_more()) co_return false;
      if (outgoing_.is_done()) {
        const bool too_long = steady_clock::now() >= waits_until;
        if (too_long || !socket_.is_open()) co_return false;
        give_all_time();
        waiting_.expires_after(kArrivalLook);
        error_code woken;
        co_await waiting_.async_wait(redirect_error(use_awaitable, woken));
        continue;
      }
      give(context_.timeouts.send);
      const bool sent = co_await send_rest();
      if (!sent) co_return false;
      waits_until = steady_clock::now() + kArrivalTimeout;
    }
    co_return true;
  }

  // A closed socket's number may be another's by now.
  Outgoing::Progress push(Outgoing::Disk disk) {
    if (!socket_.is_open()) return Outgoing::Progress::Failed;
    return tls_ ? outgoing_.push(*tls_, disk) : outgoing_.push(socket_.native_handle(), disk);
  }

  // Reads into `room`, or shakes hands where there is none. Zero: nothing more comes from there.
  awaitable<std::size_t> run_tls(std::span<char> room) {
    while (socket_.is_open()) {
      std::size_t got = 1;
      const auto step = room.empty() ? tls_->handshake() : tls_->read(room, got);
      if (step == TlsStream::Step::Done) co_return got;
      const bool writes = step == TlsStream::Step::WantWrite;
      if (!writes && step != TlsStream::Step::WantRead) break;
      const auto what = writes ? Socket::wait_write : Socket::wait_read;
      error_code error;
      co_await socket_.async_wait(what, redirect_error(use_awaitable, error));
      if (error) break;
    }
    co_return 0;
  }

  // A connection that ends in order says so: else its end could be somebody else's doing.
  void end_tls() {
    if (tls_ && socket_.is_open()) tls_->close_notify();
  }

  // Waits between two pushes; a cold piece of a file is sent by the pool, as the disk would hold up
  // every connection of this thread.
  awaitable<bool> send_rest() {
    while (true) {
      auto progress = push(Outgoing::Disk::Never);
      if (progress == Outgoing::Progress::Cold) {
        std::function<void()> send = [&] { progress = push(Outgoing::Disk::Wait); };
        give_all_time();  // the disk's time is not the client's
        pool_sends_ = true;
        co_await on_pool(std::move(send));
        pool_sends_ = false;
      }
      if (progress == Outgoing::Progress::Done) co_return true;
      if (progress == Outgoing::Progress::Failed) co_return false;
      give(context_.timeouts.send);
      if (progress == Outgoing::Progress::Blocked) {
        const bool writable = co_await wait_writable();
        if (!writable) co_return false;
      } else {
        // A reader as fast as we are would never block: let the thread's other connections in.
        co_await asio::post(socket_.get_executor(), use_awaitable);
      }
    }
  }

  awaitable<bool> wait_writable() {
    error_code error;
    co_await socket_.async_wait(Socket::wait_write, redirect_error(use_awaitable, error));
    co_return !error;
  }

  const SessionContext& context_;
  Socket socket_;
  Timer waiting_;          // the long poll's end
  bool has_news_ = false;  // since the long poll last looked
  bool trusted_;
  bool idle_ = true;
  bool pool_sends_ = false;  // a thread of the pool uses the socket
  SteadyTime deadline_ = SteadyTime::max();
  std::unique_ptr<TlsStream> tls_;  // nullptr: the connection speaks plainly
  Exchange exchange_;
  RequestReader& reader_ = exchange_.reader();
  Outgoing& outgoing_ = exchange_.delivery().outgoing();
  InputBuffer input_;
  // Of the request:
  int refused_ = 0;         // the status to refuse it with
  bool continued_ = false;  // "100 Continue" was sent
  bool in_body_ = false;    // the head is read, and the body's time runs
};

}  // namespace

std::shared_ptr<Session> start_session(SessionStart start, std::function<void()> on_end) {
  auto connection = std::make_shared<Connection>(std::move(start));
  connection->spawn(std::move(on_end));
  return connection;
}

}  // namespace holdfast::web
