// The connection's coroutine. On this compiler an aggregate or a capturing lambda built inside a
// co_await expression is freed too early or twice (GCC bug 95599): every such value is named first.
#include "web/internal/session.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <random>
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
#include <netdb.h>
#include <sys/socket.h>

#include "web/internal/answers.h"
#include "web/internal/log.h"
#include "web/internal/outgoing.h"
#include "web/internal/response_head.h"
#include "web/metrics.h"
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
constexpr asio::use_awaitable_t<Executor> use_awaitable;

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kInputBytesMax = kHeaderBytesMax + kReadBytes;

// Process-wide random start, so that ids of two runs do not meet.
std::string next_request_id() {
  static const std::uint32_t kRun = std::random_device{}();
  static std::atomic<std::uint64_t> counter{0};
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::uint64_t value = (static_cast<std::uint64_t>(kRun) << 32U) ^ counter.fetch_add(1);
  std::string id(16, '0');
  for (auto at = id.rbegin(); at != id.rend(); ++at, value >>= 4U) *at = kDigits[value & 15U];
  return id;
}

// An id that a client or a proxy gave is kept, so that its log and ours speak of the same request.
bool is_request_id(std::string_view text) noexcept {
  constexpr std::size_t kBytesMax = 64;
  return !text.empty() && text.size() <= kBytesMax && std::ranges::all_of(text, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
  });
}

// The Date header, made once a second per thread.
std::string_view date_now() {
  thread_local std::time_t made_at = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != made_at) {
    made_at = now;
    text = http_date(std::chrono::system_clock::from_time_t(now));
  }
  return text;
}

std::string peer_address(int socket) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  std::array<char, NI_MAXHOST> text{};
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&name), &length) != 0) return "";
  ::getnameinfo(reinterpret_cast<sockaddr*>(&name), length, text.data(), text.size(), nullptr, 0,
                NI_NUMERICHOST);
  return text.data();
}

class Connection final : public Session, public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(const SessionStart& start)
      : context_(start.context),
        socket_(start.io, {start.trusted ? AF_UNIX : AF_INET, 0}, start.fd),
        waiting_(start.io),
        trusted_(start.trusted),
        input_(kReadBytes) {
    if (context_.access_log != nullptr) client_ = trusted_ ? "unix" : peer_address(start.fd);
  }

  void spawn(std::function<void()> on_end) {
    auto self = shared_from_this();
    // Not awaited, so the captures live in the operation itself; they keep the session alive.
    asio::co_spawn(
        socket_.get_executor(), [self]() -> awaitable<void> { return self->serve(); },
        [self, on_end = std::move(on_end)](const std::exception_ptr& error) {
          self->report(error);
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
  static void report(const std::exception_ptr& error) noexcept {
    if (!error) return;
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& what) {
      log()->error("session_failed error=\"{}\"", what.what());
    }
  }

  void give(std::chrono::milliseconds time) noexcept { give(time, steady_clock::now()); }

  void give(std::chrono::milliseconds time, SteadyTime now) noexcept { deadline_ = now + time; }

  void give_all_time() noexcept { deadline_ = SteadyTime::max(); }

  // One request after the other. What every request passes through stands here and not in
  // coroutines of its own: their frames would be a good part of a small answer's cost.
  awaitable<void> serve() {
    auto now = steady_clock::now();
    bool keep = true;
    while (keep && socket_.is_open()) {
      start_request(now);
      while (!take_unread()) {
        if (asks_to_continue()) {
          outgoing_.start() = "HTTP/1.1 100 Continue\r\n\r\n";
          const bool sent = co_await send_rest();
          if (!sent) co_return;
        }
        error_code error;
        const asio::mutable_buffer room(input_.data() + end_, input_.size() - end_);
        const std::size_t got =
            co_await socket_.async_read_some(room, redirect_error(use_awaitable, error));
        if (error) co_return;
        now = steady_clock::now();
        took(got, now);
      }
      if (refused_ != 0) {
        co_await refuse_request();
        co_return;
      }
      take_request();
      if (auto known = handle_hot(request_, context_.services)) {
        response_ = *std::move(known);
        give(context_.timeouts.send, now);
      } else {
        co_await respond();
        give(context_.timeouts.send);
      }
      keep = reader_.keeps_alive() && !context_.draining.load();
      prepare(keep);
      bool sent = outgoing_.push(socket_.native_handle()) == Outgoing::Progress::Done;
      if (!sent) sent = co_await send_rest();
      if (sent && arriving_.length > 0) sent = co_await send_arriving();
      const auto started = std::exchange(now, steady_clock::now());
      finish(sent, now - started);
      // A drain that began meanwhile has closed the idle connections already: do not become one.
      keep = keep && sent && !context_.draining.load();
    }
  }

  void start_request(SteadyTime now) {
    reader_.restart();
    refused_ = 0;
    continued_ = false;
    in_body_ = false;
    idle_ = begin_ == end_;
    give(idle_ ? context_.timeouts.idle : context_.timeouts.header, now);
  }

  // Hands what is unread to the reader. True when the request is complete or refused; else there is
  // room for more bytes.
  bool take_unread() {
    begin_ += reader_.put({input_.data() + begin_, end_ - begin_});
    if (reader_.state() == RequestReader::State::NeedsMore) {
      if (make_room()) return false;
      refused_ = 431;
    } else if (reader_.state() == RequestReader::State::Refused) {
      refused_ = reader_.status();
    }
    idle_ = false;
    give_all_time();
    return true;
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
    response_ = error_response(refused_, "", "Bad request");
    request_ = {};
    prepare(false);
    give(context_.timeouts.send);
    const bool sent = co_await send_rest();
    finish(sent, std::chrono::nanoseconds(0));
    if (!sent) co_return;
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
  }

  void finish(bool sent, std::chrono::nanoseconds took) {
    const bool has_body = sent && request_.method != "HEAD";
    const std::uint64_t bytes = has_body ? response_.body_bytes() : 0;
    if (context_.services.metrics != nullptr) {
      context_.services.metrics->count({response_.route, response_.status, bytes, took});
    }
    if (context_.access_log != nullptr) {
      context_.access_log->add({.id = request_.id,
                                .client = client_,
                                .method = request_.method,
                                .target = request_.target,
                                .agent = request_.header("User-Agent"),
                                .status = response_.status,
                                .sent_bytes = bytes,
                                .took = took});
    }
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

  // Puts the whole answer together, so that a stored object which turns out to be damaged is a 500
  // and not an answer that breaks off.
  void prepare(bool keep) {
    const auto* slice = std::get_if<ObjectSlice>(&response_.body);
    const bool has_body = request_.method != "HEAD" && status_has_body(response_.status);
    std::vector<storage::Extent> extents;
    arriving_ = {};
    if (slice != nullptr && has_body) {
      try {
        extents = take_ready(*slice->reader, slice->range);
      } catch (const std::exception& error) {
        log_->error("read_failed id={} target=\"{}\" error=\"{}\"", request_.id, request_.target,
                    error.what());
        arriving_ = {};
        replace_response(error_response(500, "", "The stored file cannot be read"));
      }
    }
    append_head(outgoing_.start(), response_, {.keep_alive = keep, .date = date_now()});
    if (!has_body) return;
    const auto* text = std::get_if<std::string>(&response_.body);
    if (text != nullptr) {
      outgoing_.add_text(*text);
    } else {
      outgoing_.add_extents(std::move(extents));
    }
  }

  // What can be sent of the range now; the rest of it stands in arriving_.
  std::vector<storage::Extent> take_ready(const storage::BlobReader& reader,
                                          storage::ByteRange range) {
    const std::uint64_t ready = std::min(range.length, reader.ready_bytes(range.offset));
    arriving_ = {.offset = range.offset + ready, .length = range.length - ready};
    return reader.extents({.offset = range.offset, .length = ready});
  }

  // The rest of a file that is still on its way here, as it comes. False, which ends the connection
  // in the middle of the body, when it will not come.
  awaitable<bool> send_arriving() {
    const auto reader = std::get<ObjectSlice>(response_.body).reader;
    auto waits_until = steady_clock::now() + kArrivalTimeout;
    while (arriving_.length > 0) {
      has_news_ = false;
      if (!push_ready(*reader)) co_return false;
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

  // Hands what has come to outgoing_; false when no more will.
  bool push_ready(const storage::BlobReader& reader) {
    outgoing_.start();
    try {
      outgoing_.add_extents(take_ready(reader, arriving_));
      return true;
    } catch (const std::exception& error) {
      log_->warn("arrival_failed id={} target=\"{}\" error=\"{}\"", request_.id, request_.target,
                 error.what());
      return false;
    }
  }

  void replace_response(Response other) {
    other.set("X-Request-Id", id_);
    other.route = response_.route;
    response_ = std::move(other);
  }

  // Waits between two pushes; a cold piece of a file is sent by the pool, as the disk would hold up
  // every connection of this thread.
  awaitable<bool> send_rest() {
    while (true) {
      auto progress = Outgoing::Progress::Failed;
      const bool of_file = outgoing_.at_file();
      if (of_file && outgoing_.is_cold()) {
        std::function<void()> push = [&] { progress = outgoing_.push(socket_.native_handle()); };
        give_all_time();  // the disk's time is not the client's
        pool_sends_ = true;
        co_await on_pool(std::move(push));
        pool_sends_ = false;
      } else {
        progress = outgoing_.push(socket_.native_handle());
      }
      if (progress == Outgoing::Progress::Done) co_return true;
      if (progress == Outgoing::Progress::Failed) co_return false;
      give(context_.timeouts.send);
      if (progress == Outgoing::Progress::Blocked) {
        const bool writable = co_await wait_writable();
        if (!writable) co_return false;
      } else if (of_file) {
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
  std::shared_ptr<spdlog::logger> log_ = log();  // shared with spdlog's registry
  RequestReader reader_;
  int refused_ = 0;         // the status to refuse the request with
  bool continued_ = false;  // "100 Continue" was sent
  bool in_body_ = false;    // the head is read, and the body's time runs
  std::string client_;      // its address, for the access log
  std::string id_;
  Request request_;
  Response response_;
  storage::ByteRange arriving_;  // of the answer's file, what has not come yet
  Outgoing outgoing_;
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
