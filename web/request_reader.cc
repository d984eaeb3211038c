#include "web/request_reader.h"

#include <array>
#include <iterator>
#include <memory_resource>
#include <optional>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "web/limits.h"
#include "web/url.h"

namespace holdfast::web {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

// The headers of a usual request fit in, so that reading one allocates nothing.
constexpr std::size_t kArenaBytes = 4096;

using HeaderAllocator = std::pmr::polymorphic_allocator<char>;
using HttpParser = http::request_parser<http::string_body, HeaderAllocator>;

int status_of(const error_code& error) noexcept {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
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
    http->eager(true);
    http->header_limit(kHeaderBytesMax);
    http->body_limit(kBodyBytesMax);
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
  const std::size_t taken =
      parser_->http->put(boost::asio::const_buffer(unread.data(), unread.size()), error);
  if (error && error != http::error::need_more) {
    refuse(status_of(error));
  } else if (parser_->http->is_header_done() && !names_one_host(parser_->http->get())) {
    refuse(400);
  } else if (parser_->http->is_done()) {
    state_ = State::Complete;
  }
  return taken;
}

bool RequestReader::head_is_read() const { return parser_->http->is_header_done(); }

bool RequestReader::expects_continue() const {
  const auto& message = parser_->http->get();
  return head_is_read() && message.version() >= 11 &&
         boost::beast::iequals(message[http::field::expect], "100-continue");
}

bool RequestReader::keeps_alive() const { return parser_->http->get().keep_alive(); }

Request RequestReader::request() {
  const auto& message = parser_->http->get();
  headers_.clear();
  for (const auto& field : message) {
    headers_.push_back(Header{view(field.name_string()), view(field.value())});
  }
  Request request;
  request.method = view(message.method_string());
  request.target = view(message.target());
  request.headers = headers_;
  request.body = message.body();
  return request;
}

}  // namespace holdfast::web
