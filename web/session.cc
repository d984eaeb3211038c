// The connection's coroutine. On this compiler an aggregate or a capturing lambda built inside a
// co_await expression is freed too early or twice (GCC bug 95599): every such value is named first.
#include "web/internal/session.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

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

#include "web/internal/account.h"
#include "web/internal/answers.h"
#include "web/internal/caller.h"
#include "web/internal/delivery.h"
#include "web/internal/intake.h"
#include "web/internal/log.h"
#include "web/internal/outgoing.h"
#include "web/internal/response_head.h"
#include "web/request_reader.h"
#include "web/routes.h"

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

constexpr std::size_t kReadBytes = std::size_t{16} * 1024;
constexpr std::size_t kUploadReadBytes = std::size_t{512} * 1024;
constexpr std::size_t kInputBytesMax = kHeaderBytesMax + kReadBytes;

class Connection final : public Session, public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(const SessionStart& start)
      : context_(start.context),
        socket_(start.io, {start.trusted ? AF_UNIX : AF_INET, 0}, start.fd),
        waiting_(start.io),
        trusted_(start.trusted),
        loopback_(!start.trusted && is_loopback_peer(start.fd)),
        input_(kReadBytes) {
    peer_ = trusted_ ? "unix" : peer_address(start.fd);
  }

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
        error_code error;
        std::size_t got = 0;
        if (tls_) {
          const std::span room(input_.data() + end_, input_.size() - end_);
          got = co_await run_tls(room);
        } else {
          const asio::mutable_buffer room(input_.data() + end_, input_.size() - end_);
          got = co_await socket_.async_read_some(room, redirect_error(use_awaitable, error));
        }
        if (error || got == 0) {
          end_tls();
          co_return;
        }
        now = steady_clock::now();
        took(got, now);
        if (intake_) co_await put_on_pool();
      }
      if (refused_ != 0 || (intake_ && !intake_->wants_more())) {
        co_await refuse_request();
        co_return;
      }
      if (intake_) {
        co_await finish_intake();
        give(context_.timeouts.send);
      } else if (take_request(); auto known = handle_hot(request_, context_.services)) {
        response_ = *std::move(known);
        give(context_.timeouts.send, now);
      } else {
        co_await respond();
        give(context_.timeouts.send);
      }
      keep = reader_.keeps_alive() && !context_.draining.load();
      prepare(keep);
      bool sent = push(Outgoing::Disk::Never) == Outgoing::Progress::Done;
      if (!sent) sent = co_await send_rest();
      if (sent && delivery_.is_waiting()) sent = co_await send_arriving();
      const auto started = std::exchange(now, steady_clock::now());
      finish(sent, now - started);
      // A drain that began meanwhile has closed the idle connections already: do not become one.
      keep = keep && sent && !context_.draining.load();
    }
    end_tls();
  }

  void start_request(SteadyTime now) {
    reader_.restart();
    refused_ = 0;
    continued_ = false;
    in_body_ = false;
    admission_.taken.reset();
    idle_ = begin_ == end_;
    if (idle_ && input_.size() > kInputBytesMax) input_ = std::vector<char>(kReadBytes);
    give(idle_ ? context_.timeouts.idle : context_.timeouts.header, now);
  }

  // Hands what is unread to the reader. True when the request is complete or refused; else there is
  // room for more bytes.
  bool take_unread() {
    if (intake_ && !intake_->wants_more()) return true;
    begin_ += reader_.put({input_.data() + begin_, end_ - begin_});
    if (reader_.state() == RequestReader::State::NeedsMore) {
      if (make_room()) return false;
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

  // What becomes of the body whose head was just read: a part of the request, or its row takes it
  // as it comes.
  awaitable<void> choose_body() {
    const Request head = reader_.request();
    found_ = match(head.method, head.target);
    if (!found_ || found_->route == nullptr || found_->route->receive == nullptr) {
      reader_.keep_body(kBodyBytesMax);
      co_return;
    }
    take_request();
    give_all_time();
    std::function<void()> begin = [this] {
      intake_ = std::make_unique<Intake>(request_, context_.services, *found_);
    };
    co_await on_pool(std::move(begin));
    reader_.hand_body([this](std::string_view bytes) { return intake_->put(bytes); });
    make_room();
    input_.resize(kUploadReadBytes);
    if (intake_->wants_more()) co_await put_on_pool();
    give(context_.timeouts.body);
  }

  // Storing what has come is the pool's work; what is left is no piece of the body.
  awaitable<void> put_on_pool() {
    give_all_time();
    std::function<void()> put = [this] {
      begin_ += reader_.put({input_.data() + begin_, end_ - begin_});
    };
    co_await on_pool(std::move(put));
    give(context_.timeouts.body);
  }

  awaitable<void> finish_intake() {
    give_all_time();
    std::function<void()> finish = [this] { response_ = intake_->finish(); };
    co_await on_pool(std::move(finish));
    drop_intake();
  }

  // An upload that ends early may still have to sync what it has: not on this thread.
  void drop_intake() {
    if (!intake_) return;
    asio::post(context_.pool, [dropped = std::move(intake_)]() mutable { dropped.reset(); });
  }

  bool asks_to_continue() {
    if (continued_ || !reader_.expects_continue()) return false;
    continued_ = true;
    return true;
  }

  // Moves what is unread to the front, and grows the buffer while a header is longer than it.
  bool make_room() {
    std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (end_ < input_.size()) return true;
    if (input_.size() >= kInputBytesMax) return false;
    input_.resize(kInputBytesMax);
    return true;
  }

  void took(std::size_t bytes, SteadyTime now) {
    end_ += bytes;
    if (idle_) {
      idle_ = false;
      give(context_.timeouts.header, now);
    } else if (reader_.head_is_read() && !in_body_) {
      in_body_ = true;
      give(context_.timeouts.body, now);
    }
  }

  // A request that cannot be read ends the connection; what the client still sends is read for a
  // moment, so that the answer is not lost to a reset.
  awaitable<void> refuse_request() {
    if (refused_ == 0) {
      co_await finish_intake();
    } else {
      response_ = error_response(refused_, "", "Bad request");
      request_ = {};
      request_.client = peer_;
    }
    prepare(false);
    give(context_.timeouts.send);
    const bool sent = co_await send_rest();
    finish(sent, std::chrono::nanoseconds(0));
    if (!sent) co_return;
    end_tls();
    ::shutdown(socket_.native_handle(), SHUT_WR);
    give(context_.timeouts.linger);
    while (true) {
      begin_ = end_ = 0;
      error_code error;
      const asio::mutable_buffer room(input_.data(), input_.size());
      co_await socket_.async_read_some(room, redirect_error(use_awaitable, error));
      if (error) co_return;
    }
  }

  // The request borrows from the reader until the next one starts.
  void take_request() {
    request_ = reader_.request();
    const std::string_view given = request_.header("X-Request-Id");
    id_ = is_request_id(given) ? std::string(given) : next_request_id();
    request_.id = id_;
    request_.trusted = trusted_;
    if (tls_) request_.scheme = "https";
    request_.loopback = loopback_;
    context_.guards.admit(request_, peer_, admission_);
  }

  void finish(bool sent, std::chrono::nanoseconds took) {
    account(context_, {request_, response_, request_.client, sent, took});
    response_ = Response{};  // an idle connection keeps no object open
  }

  // Asks again after each piece of news while the answer says that nothing has changed yet.
  awaitable<void> respond() {
    const auto started = steady_clock::now();
    do {
      has_news_ = false;
      co_await ask();
      if (response_.wait_max.count() == 0 || context_.draining.load()) co_return;
      if (!has_news_) {
        waiting_.expires_at(started + response_.wait_max);
        error_code woken;
        co_await waiting_.async_wait(redirect_error(use_awaitable, woken));
      }
    } while (has_news_);
  }

  awaitable<void> ask() {
    const auto found = match(request_.method, request_.target);
    const bool on_this_thread =
        !found || found->route == nullptr || found->route->where == Where::Inline;
    if (on_this_thread) {
      response_ = handle(request_, context_.services, found);
      if (!response_.upstream_may_have_it) co_return;
    }
    std::function<void()> work = [this, &found, on_this_thread] {
      if (!on_this_thread) response_ = handle(request_, context_.services, found);
      if (!response_.upstream_may_have_it) return;
      response_ = answer_by_pull(request_, context_.services, found);
    };
    co_await on_pool(std::move(work));
  }

  // Runs `work`, which must not throw, on the pool; resumes on the session's own thread, whose
  // io_context the guard keeps running meanwhile.
  awaitable<void> on_pool(std::function<void()> work) {
    auto start = [this, &work](auto handler) {
      auto executor = socket_.get_executor();
      auto guard = asio::make_work_guard(executor);
      auto task = [executor, guard = std::move(guard), &work,
                   handler = std::move(handler)]() mutable {
        work();
        asio::post(executor, std::move(handler));
      };
      asio::post(context_.pool, std::move(task));
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(start,
                                                                                 use_awaitable);
  }

  void prepare(bool keep) {
    Guards::add_headers(admission_, response_);
    delivery_.start(request_, response_, {.keep_alive = keep, .date = http_date_now()});
  }

  // The rest of a file that is still on its way here, as it comes. False, which ends the connection
  // in the middle of the body, when it will not come.
  awaitable<bool> send_arriving() {
    auto waits_until = steady_clock::now() + kArrivalTimeout;
    while (delivery_.is_waiting()) {
      has_news_ = false;
      if (!delivery_.take_more(request_, response_)) co_return false;
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
  bool loopback_;
  bool idle_ = true;
  bool pool_sends_ = false;  // a thread of the pool uses the socket
  SteadyTime deadline_ = SteadyTime::max();
  std::shared_ptr<spdlog::logger> log_ = log();  // shared with spdlog's registry
  RequestReader reader_;
  int refused_ = 0;                 // the status to refuse the request with
  bool continued_ = false;          // "100 Continue" was sent
  bool in_body_ = false;            // the head is read, and the body's time runs
  std::unique_ptr<TlsStream> tls_;  // nullptr: the connection speaks plainly
  std::string peer_;                // the other end's address
  Admission admission_;             // of request_
  std::string id_;
  Request request_;
  std::optional<Match> found_;      // of the request that intake_ takes
  std::unique_ptr<Intake> intake_;  // nullptr: the body is part of the request
  Response response_;
  Delivery delivery_;
  Outgoing& outgoing_ = delivery_.outgoing();
  std::vector<char> input_;
  std::size_t begin_ = 0, end_ = 0;  // unread bytes of input_
};

}  // namespace

std::shared_ptr<Session> start_session(const SessionStart& start, std::function<void()> on_end) {
  auto connection = std::make_shared<Connection>(start);
  connection->spawn(std::move(on_end));
  return connection;
}

}  // namespace holdfast::web
