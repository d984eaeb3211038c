#include "web/request_reader.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <memory_resource>
#include <optional>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/parser.hpp>

#include "web/limits.h"
#include "web/url.h"

namespace holdfast::web {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

// The headers of a usual request fit in, so that reading one allocates nothing.
constexpr std::size_t kArenaBytes = 4096;

// What a body in chunks has to come at least until it is read: "0", CR LF, CR LF. Beast takes a
// last chunk apart a second time when its end comes late, and asserts that there is as much of it.
constexpr std::size_t kLastChunkBytes = 5;

// A body as Beast asks for one, with Beast's names: kept as text, or handed on.
struct Body {
  struct value_type {  // NOLINT(readability-identifier-naming)
    std::string text;
    RequestReader::Sink sink;
    BudgetShare* share = nullptr;  // what `text` takes of it

    bool keep(std::string_view bytes) {
      const std::size_t size = text.size() + bytes.size();
      const std::size_t paid = std::max(text.size(), kSmallBodyBytes);
      if (share != nullptr && size > paid && !share->take(size - paid)) return false;
      text.append(bytes);
      return true;
    }
  };

  class reader {  // NOLINT(readability-identifier-naming)
   public:
    template <bool isRequest, class Fields>
    reader(http::header<isRequest, Fields>&, value_type& body) : body_(body) {}

    void init(const boost::optional<std::uint64_t>& length, error_code& error) {
      // No more than that before it has come: a length is only a promise.
      if (length && !body_.sink)
        body_.text.reserve(std::min<std::size_t>(*length, kSmallBodyBytes));
      error = {};
    }

    template <class Buffers>
    std::size_t put(const Buffers& buffers, error_code& error) {
      std::size_t taken = 0;
      error = {};
      for (const auto buffer : boost::beast::buffers_range_ref(buffers)) {
        const std::string_view bytes(static_cast<const char*>(buffer.data()), buffer.size());
        if (!body_.sink && !body_.keep(bytes)) {
          error = http::error::buffer_overflow;
          return taken;
        }
        if (body_.sink && !body_.sink(bytes)) {
          error = http::error::end_of_stream;
          return taken;
        }
        taken += bytes.size();
      }
      return taken;
    }

    static void finish(error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};

using HeaderAllocator = std::pmr::polymorphic_allocator<char>;
using HttpParser = http::request_parser<Body, HeaderAllocator>;

int status_of(const error_code& error) noexcept {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  if (error == http::error::buffer_overflow) return 503;
  if (error == http::error::end_of_stream) return 0;
  return 400;
}

std::string_view view(boost::beast::string_view text) noexcept {
  return {text.data(), text.size()};
}

// RFC 9112, section 3.2: what stands before or behind us must not read another host out of it.
template <class Message>
bool names_one_host(const Message& message) {
  const auto hosts = message.equal_range(http::field::host);
  const auto count = std::distance(hosts.first, hosts.second);
  if (count == 0) return message.version() < 11;
  const std::string_view host = view(hosts.first->value());
  return count == 1 && (host.empty() || is_host(host));
}

}  // namespace

struct RequestReader::Parser {
  std::array<std::byte, kArenaBytes> arena;
  std::pmr::monotonic_buffer_resource memory{arena.data(), arena.size()};
  std::optional<HttpParser> http;

  void restart() {
    http.reset();
    memory.release();
    http.emplace(std::piecewise_construct, std::make_tuple(),
                 std::make_tuple(HeaderAllocator(&memory)));
    // Stops behind the head, whose limits of a body are not known yet.
    http->eager(false);
    http->header_limit(kHeaderBytesMax);
    http->body_limit(boost::none);
  }
};

RequestReader::RequestReader() : parser_(std::make_unique<Parser>()) { parser_->restart(); }

RequestReader::~RequestReader() = default;

void RequestReader::restart() {
  parser_->restart();
  headers_.clear();
  state_ = State::NeedsMore;
  status_ = 0;
}

void RequestReader::refuse(int status) noexcept {
  state_ = State::Refused;
  status_ = status;
}

std::size_t RequestReader::put(std::string_view unread) {
  if (unread.empty() || state_ != State::NeedsMore) return 0;
  error_code error;
  const bool began_in_head = !parser_->http->is_header_done();
  const bool in_chunks = !began_in_head && parser_->http->chunked();
  if (in_chunks && unread.size() < kLastChunkBytes) return 0;
  const std::size_t taken =
      parser_->http->put(boost::asio::const_buffer(unread.data(), unread.size()), error);
  const bool ended_head = began_in_head && parser_->http->is_header_done();
  if (error && error != http::error::need_more) {
    refuse(status_of(error));
  } else if ((began_in_head || parser_->http->is_done()) && has_too_many_fields()) {
    refuse(431);
  } else if ((ended_head && !take_headers()) ||
             (parser_->http->is_header_done() && !names_one_host(parser_->http->get()))) {
    refuse(400);
  } else if (parser_->http->is_done()) {
    state_ = State::Complete;
  } else if (parser_->http->is_header_done() && !parser_->http->eager()) {
    state_ = State::Head;
  }
  return taken;
}

// Of headers, and of what Beast put beside them when a body ended in trailers.
bool RequestReader::has_too_many_fields() const {
  const auto& message = parser_->http->get();
  return static_cast<std::size_t>(std::distance(message.begin(), message.end())) > kHeaderFieldsMax;
}

std::optional<std::uint64_t> RequestReader::body_bytes() const {
  const auto length = parser_->http->content_length();
  return length ? std::optional(*length) : std::nullopt;
}

bool RequestReader::bound_body(std::uint64_t bytes_max) {
  if (body_bytes().value_or(0) > bytes_max) {
    refuse(413);
    return false;
  }
  parser_->http->body_limit(bytes_max);
  parser_->http->eager(true);
  state_ = State::NeedsMore;
  return true;
}

void RequestReader::keep_body(std::uint64_t bytes_max, BudgetShare* share) {
  if (bound_body(bytes_max)) parser_->http->get().body().share = share;
}

void RequestReader::drop_body(std::uint64_t bytes_max) {
  if (!bound_body(bytes_max)) return;
  parser_->http->get().body().sink = [](std::string_view) { return true; };
}

void RequestReader::hand_body(Sink sink) {
  parser_->http->get().body().sink = std::move(sink);
  parser_->http->eager(true);
  state_ = State::NeedsMore;
}

bool RequestReader::head_is_read() const { return parser_->http->is_header_done(); }

bool RequestReader::expects_continue() const {
  const auto& message = parser_->http->get();
  return head_is_read() && message.version() >= 11 &&
         boost::beast::iequals(message[http::field::expect], "100-continue");
}

bool RequestReader::keeps_alive() const { return parser_->http->get().keep_alive(); }

// Once, when the head ends: Beast adds the trailers of a chunked body to the same list, and those
// are no headers (RFC 9110, section 6.5.1). Nobody who looks at headers may be told by them.
//
// False for a coding of the body that Beast passes over, with a length beside it or none: where the
// request ends would be a matter of opinion (RFC 9112, section 6.3). "chunked" alone is none.
bool RequestReader::take_headers() {
  const auto& message = parser_->http->get();
  bool plain = true;
  for (const auto& field : message) {
    headers_.push_back(Header{view(field.name_string()), view(field.value())});
    if (field.name() != http::field::transfer_encoding) continue;
    plain = plain && message.version() >= 11 && same_name(headers_.back().value, "chunked");
  }
  return plain;
}

Request RequestReader::request() {
  const auto& message = parser_->http->get();
  Request request;
  request.method = view(message.method_string());
  request.target = view(message.target());
  request.headers = headers_;
  request.body = message.body().text;
  return request;
}

}  // namespace holdfast::web
