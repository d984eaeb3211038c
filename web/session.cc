// The connection's coroutine. On this compiler an aggregate or a capturing lambda built inside a
// co_await expression is freed too early or twice (GCC bug 95599): every such value is named first.
#include "web/internal/session.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "web/internal/answers.h"
#include "web/internal/log.h"
#include "web/internal/response_head.h"
#include "web/metrics.h"
#include "web/routes.h"

namespace holdfast::web {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::redirect_error;
using boost::system::error_code;
using std::chrono::steady_clock;

// The executor by its own type: the type-erased default costs a tenth of a small request.
using Executor = asio::io_context::executor_type;
template <class T>
using awaitable = asio::awaitable<T, Executor>;
using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
using Timer = asio::basic_waitable_timer<steady_clock, asio::wait_traits<steady_clock>, Executor>;
constexpr asio::use_awaitable_t<Executor> use_awaitable;

constexpr std::size_t kReadBytes = 16 * 1024;
// Up to here copying a file's bytes is cheaper than a second call for them.
constexpr std::size_t kCopiedBytesMax = 16 * 1024;
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

// Whether the page at `offset` would have to be read from disk: asks the kernel for one byte
// without waiting. File systems that cannot say are taken as warm.
bool is_cold(int fd, std::uint64_t offset) noexcept {
  char byte = 0;
  iovec where{.iov_base = &byte, .iov_len = 1};
  return ::preadv2(fd, &where, 1, static_cast<off_t>(offset), RWF_NOWAIT) < 0 && errno == EAGAIN;
}

int status_of_parse_error(const error_code& error) noexcept {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  return 400;
}

bool would_block() noexcept { return errno == EAGAIN || errno == EWOULDBLOCK; }

using Parser = http::request_parser<http::string_body>;

class Connection final : public Session, public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(const SessionStart& start)
      : context_(start.context),
        socket_(start.io, start.fd),
        trusted_(start.trusted),
        input_(kReadBytes) {}

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
    socket_.close(ignored);
  }

  bool idle() const noexcept override { return idle_; }

 private:
  static void report(const std::exception_ptr& error) noexcept {
    if (!error) return;
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& what) {
      log()->error("session_failed error=\"{}\"", what.what());
    }
  }

  void give(std::chrono::milliseconds time) noexcept { deadline_ = steady_clock::now() + time; }

  void give_all_time() noexcept { deadline_ = SteadyTime::max(); }

  awaitable<void> serve() {
    while (socket_.is_open()) {
      parser_.emplace();
      parser_->eager(true);
      parser_->header_limit(kHeaderBytesMax);
      parser_->body_limit(kBodyBytesMax);
      const int refused = co_await read_request();
      if (refused != 0) {
        if (refused > 0) co_await refuse_request(refused);
        co_return;
      }
      const bool keep = parser_->get().keep_alive() && !context_.draining.load();
      const bool sent = co_await answer_request(keep);
      // A drain that began meanwhile has closed the idle connections already: do not become one.
      if (!sent || !keep || context_.draining.load()) co_return;
    }
  }

  // Reads until the parser has a whole request. 0: it has; a status: refuse with it; -1: the client
  // is gone.
  awaitable<int> read_request() {
    idle_ = begin_ == end_;
    give(idle_ ? context_.timeouts.idle : context_.timeouts.header);
    bool continued = false;
    while (true) {
      error_code error;
      if (begin_ != end_) {
        const asio::const_buffer unread(input_.data() + begin_, end_ - begin_);
        begin_ += parser_->put(unread, error);
        if (error && error != http::error::need_more) co_return status_of_parse_error(error);
        if (parser_->is_done()) break;
      }
      if (parser_->is_header_done() && !continued && expects_continue()) {
        continued = true;
        std::array<iovec, 2> parts{text_part("HTTP/1.1 100 Continue\r\n\r\n"), iovec{}};
        const bool sent = co_await send_parts(parts, 0);
        if (!sent) co_return -1;
      }
      if (!make_room()) co_return 431;
      const bool more = co_await read_more();
      if (!more) co_return -1;
    }
    idle_ = false;
    give_all_time();
    co_return 0;
  }

  bool expects_continue() {
    return parser_->get().version() >= 11 &&
           boost::beast::iequals(parser_->get()[http::field::expect], "100-continue");
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

  awaitable<bool> read_more() {
    error_code error;
    const asio::mutable_buffer room(input_.data() + end_, input_.size() - end_);
    const std::size_t got =
        co_await socket_.async_read_some(room, redirect_error(use_awaitable, error));
    if (error) co_return false;
    end_ += got;
    if (idle_) {
      idle_ = false;
      give(context_.timeouts.header);
    } else if (parser_->is_header_done()) {
      give(context_.timeouts.send);  // a body may take its time as long as it moves
    }
    co_return true;
  }

  // A request that cannot be read ends the connection; what the client still sends is read for a
  // moment, so that the answer is not lost to a reset.
  awaitable<void> refuse_request(int status) {
    response_ = error_response(status, "", "Bad request");
    const bool sent = co_await send_response(false, false);
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

  awaitable<bool> answer_request(bool keep) {
    const auto started = steady_clock::now();
    take_request();
    co_await respond();
    const bool head_only = request_.method == "HEAD";
    const bool sent = co_await send_response(keep, head_only);
    finish(head_only || !sent ? 0 : response_.body_bytes(), steady_clock::now() - started);
    response_ = Response{};  // an idle connection keeps no object open
    co_return sent;
  }

  // The parser's message as our value; it borrows from the parser until the next request.
  void take_request() {
    const auto& message = parser_->get();
    headers_.clear();
    for (const auto& field : message) {
      headers_.push_back(Header{view(field.name_string()), view(field.value())});
    }
    id_ = next_request_id();
    request_.method = view(message.method_string());
    request_.target = view(message.target());
    request_.headers = headers_;
    request_.body = message.body();
    request_.id = id_;
    request_.trusted = trusted_;
  }

  static std::string_view view(boost::beast::string_view text) noexcept {
    return {text.data(), text.size()};
  }

  void finish(std::uint64_t bytes, std::chrono::nanoseconds took) {
    if (context_.services.metrics != nullptr) {
      context_.services.metrics->count({response_.route, response_.status, bytes, took});
    }
    if (!log_->should_log(spdlog::level::debug)) return;
    log_->debug("request id={} method={} target=\"{}\" status={} bytes={} us={}", request_.id,
                request_.method, request_.target, response_.status, bytes, took.count() / 1000);
  }

  // Asks again, every so often, while the answer says that nothing has changed yet.
  awaitable<void> respond() {
    co_await ask();
    if (response_.wait_max.count() == 0) co_return;
    const auto until = steady_clock::now() + response_.wait_max;
    Timer timer(socket_.get_executor());
    while (response_.wait_max.count() > 0 && steady_clock::now() < until &&
           !context_.draining.load()) {
      timer.expires_after(kLongPollInterval);
      error_code error;
      co_await timer.async_wait(redirect_error(use_awaitable, error));
      co_await ask();
    }
  }

  awaitable<void> ask() {
    const auto found = match(request_.method, request_.target);
    if (!found || found->route == nullptr || found->route->where == Where::Inline) {
      response_ = handle(request_, context_.services, found);
      co_return;
    }
    std::function<void()> work = [this, &found] {
      response_ = handle(request_, context_.services, found);
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

  awaitable<bool> send_response(bool keep, bool head_only) {
    head_.clear();
    HeadOptions options;
    options.keep_alive = keep;
    options.date = date_now();
    append_head(head_, response_, options);
    give(context_.timeouts.send);
    const bool has_body =
        !head_only && status_has_body(response_.status) && response_.body_bytes() > 0;
    const auto* slice = std::get_if<ObjectSlice>(&response_.body);
    if (slice != nullptr && has_body) {
      extents_ = slice->reader->extents(slice->range);
      if (!append_small_file()) co_return co_await send_extents();
      std::array<iovec, 2> both{text_part(head_), iovec{}};
      co_return co_await send_parts(both, 0);
    }
    const auto* text = std::get_if<std::string>(&response_.body);
    const std::string_view body = has_body && text != nullptr ? std::string_view(*text) : "";
    std::array<iovec, 2> parts{text_part(head_), text_part(body)};
    co_return co_await send_parts(parts, 0);
  }

  // Puts a short run of a file behind the head, so that one call sends both; false, and nothing
  // done, when it is long or not in memory.
  bool append_small_file() {
    if (extents_.size() != 1) return false;
    const auto* file = std::get_if<storage::FileExtent>(&extents_.front());
    if (file == nullptr || file->length > kCopiedBytesMax) return false;
    const std::size_t head_bytes = head_.size();
    head_.resize(head_bytes + file->length);
    iovec where{.iov_base = head_.data() + head_bytes, .iov_len = file->length};
    const auto offset = static_cast<off_t>(file->offset);
    const ssize_t got = ::preadv2(file->fd, &where, 1, offset, RWF_NOWAIT);
    if (got == static_cast<ssize_t>(file->length)) return true;
    head_.resize(head_bytes);
    return false;
  }

  awaitable<bool> send_extents() {
    std::string_view pending = head_;  // goes out together with the first bytes of the body
    for (const storage::Extent& extent : extents_) {
      const auto* memory = std::get_if<storage::MemoryExtent>(&extent);
      const auto body = memory == nullptr ? std::string_view() : as_text(memory->bytes);
      std::array<iovec, 2> parts{text_part(pending), text_part(body)};
      bool sent = co_await send_parts(parts, memory == nullptr ? MSG_MORE : 0);
      if (sent && memory == nullptr) {
        const storage::FileExtent file = std::get<storage::FileExtent>(extent);
        sent = co_await send_file(file);
      }
      if (!sent) co_return false;
      pending = {};
    }
    co_return true;
  }

  static iovec text_part(std::string_view text) noexcept {
    return iovec{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  }

  // Drops `sent` bytes from the front of the parts; true when nothing is left.
  static bool advance(std::array<iovec, 2>& parts, std::size_t sent) noexcept {
    for (iovec& part : parts) {
      const std::size_t taken = std::min(sent, part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + taken;
      part.iov_len -= taken;
      sent -= taken;
    }
    return parts[0].iov_len + parts[1].iov_len == 0;
  }

  awaitable<bool> send_parts(std::array<iovec, 2> parts, int flags) {
    while (!advance(parts, 0)) {
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = parts.size();
      const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, flags | MSG_NOSIGNAL);
      if (sent >= 0) {
        advance(parts, static_cast<std::size_t>(sent));
        give(context_.timeouts.send);
        continue;
      }
      if (errno == EINTR) continue;
      if (!would_block()) co_return false;
      const bool writable = co_await wait_writable();
      if (!writable) co_return false;
    }
    co_return true;
  }

  awaitable<bool> send_file(storage::FileExtent extent) {
    while (extent.length > 0) {
      const std::size_t asked = std::min<std::uint64_t>(extent.length, kSendfileBytes);
      ssize_t sent = 0;
      int error = 0;
      std::function<void()> send = [&, fd = socket_.native_handle()] {
        auto offset = static_cast<off_t>(extent.offset);
        sent = ::sendfile(fd, extent.fd, &offset, asked);
        error = errno;
      };
      if (is_cold(extent.fd, extent.offset)) {
        give_all_time();  // the disk's time is not the client's
        co_await on_pool(std::move(send));
      } else {
        send();
      }
      errno = error;
      if (sent == 0) co_return false;  // the file is shorter than its record
      if (sent > 0) {
        extent.offset += static_cast<std::uint64_t>(sent);
        extent.length -= static_cast<std::uint64_t>(sent);
        give(context_.timeouts.send);
        // A reader as fast as we are would never block: let the thread's other connections in.
        if (extent.length > 0) co_await asio::post(socket_.get_executor(), use_awaitable);
        continue;
      }
      if (error == EINTR) continue;
      if (!would_block()) co_return false;
      give(context_.timeouts.send);
      const bool writable = co_await wait_writable();
      if (!writable) co_return false;
    }
    co_return true;
  }

  awaitable<bool> wait_writable() {
    error_code error;
    co_await socket_.async_wait(Descriptor::wait_write, redirect_error(use_awaitable, error));
    co_return !error;
  }

  const SessionContext& context_;
  Descriptor socket_;
  bool trusted_;
  bool idle_ = true;
  SteadyTime deadline_ = SteadyTime::max();
  std::shared_ptr<spdlog::logger> log_ = log();  // shared with spdlog's registry
  std::optional<Parser> parser_;
  std::vector<Header> headers_;
  std::string id_;
  Request request_;
  Response response_;
  std::string head_;
  std::vector<storage::Extent> extents_;
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
