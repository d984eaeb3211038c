#include "mirror/http_client.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

#include <openssl/evp.h>

#include "mirror/internal/curl_loop.h"
#include "mirror/limits.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string base64(const std::string& text) {
  std::string out((text.size() + 2) / 3 * 4 + 1, '\0');  // and the NUL that OpenSSL writes
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                  reinterpret_cast<const unsigned char*>(text.data()),
                  static_cast<int>(text.size()));
  out.pop_back();
  return out;
}

// Ends an exchange that its caller leaves early, however it leaves.
class OpenExchange {
 public:
  OpenExchange(CurlLoop& loop, ExchangeRequest request)
      : loop_(loop), exchange_(loop.start(std::move(request))) {}

  OpenExchange(const OpenExchange&) = delete;
  OpenExchange& operator=(const OpenExchange&) = delete;

  ~OpenExchange() {
    if (!complete_) loop_.cancel(exchange_);
  }

  ExchangeHead head(const std::stop_token& stop) { return loop_.wait_head(exchange_, stop); }

  std::vector<std::byte> body(const std::stop_token& stop) {
    auto chunk = loop_.wait_body(exchange_, stop);
    complete_ = chunk.empty();
    return chunk;
  }

  ExchangeEnd end() const { return CurlLoop::end_of(exchange_); }

 private:
  CurlLoop& loop_;
  std::shared_ptr<Exchange> exchange_;  // shared with the curl thread
  bool complete_ = false;
};

// Counts one exchange when it is over, however it ends.
struct Counting {
  UpstreamCounts* counts;  // nullptr: nobody wants to know
  const HttpResponse& response;
  std::chrono::steady_clock::time_point since;

  ~Counting() {
    if (counts != nullptr) counts->add(response.status, std::chrono::steady_clock::now() - since);
  }
};

}  // namespace

struct HttpClient::State {
  explicit State(HttpConfig given) : config(std::move(given)) {
    policy.endpoint = config.endpoint;
    policy.host_suffixes = config.redirect_hosts;
    policy.endpoint_is_private = is_private_host(config.endpoint.host);
    for (const std::string& text : config.allow_private) {
      const auto range = parse_address_range(text);
      if (!range) fail(ErrorKind::Invalid, "allow_private: \"" + text + "\" is no address range");
      policy.allow_private.push_back(*range);
    }
    if (config.outbound) counts = config.outbound->upstream(config.upstream);
    if (!config.slots) config.slots = std::make_shared<RequestSlots>(kRequestsMax);
    ca_file = config.ca_file;
    if (ca_file.empty()) ca_file = config.environment("SSL_CERT_FILE").value_or("");
  }

  RedirectPolicy current_policy() const {
    RedirectPolicy out = policy;
    out.endpoint_is_private = out.endpoint_is_private || loop.saw_private_address();
    return out;
  }

  ExchangeRequest exchange_for(const HttpRequest& request, const Url& url) const;
  HttpResponse follow(const HttpRequest& request, BodySink& sink, const std::stop_token& stop);
  // Reads one answer into `response`; true when it is a redirect.
  bool take_answer(OpenExchange& exchange, HttpResponse& response, BodySink& sink,
                   const std::stop_token& stop);

  HttpConfig config;
  std::shared_ptr<UpstreamCounts> counts;  // shared with other clients; nullptr: none
  RedirectPolicy policy;
  std::string ca_file;
  std::atomic<std::uint64_t> requests = 0;
  std::atomic<bool> answered = false;
  CurlLoop loop;
};

ExchangeRequest HttpClient::State::exchange_for(const HttpRequest& request, const Url& url) const {
  ExchangeRequest out;
  out.url = to_text(url);
  out.proxy = proxy_for(url, config.proxy, config.environment);
  out.ca_file = ca_file;
  out.compressed = request.compressed;
  out.body_max = request.body_max;
  out.connect_timeout = config.connect_timeout;
  out.stall_window = config.stall_window;
  out.stall_bytes = config.stall_bytes;
  // Through a proxy the address is the proxy's, which the operator chose.
  out.addresses_checked = url.host != policy.endpoint.host && out.proxy.empty() &&
                          !current_policy().endpoint_is_private;
  out.allow_private = policy.allow_private;
  if (!request.compressed) out.header_lines.emplace_back("Accept-Encoding: identity");
  if (!config.token.empty() && same_origin(url, config.endpoint)) {
    out.header_lines.push_back("Authorization: " + (request.token_as_password
                                                        ? "Basic " + base64("user:" + config.token)
                                                        : "Bearer " + config.token));
  }
  for (const std::string& line : request.header_lines) out.header_lines.push_back(line);
  out.post = request.post;
  if (request.range) {
    out.header_lines.push_back("Range: bytes=" + std::to_string(request.range->offset) + "-" +
                               std::to_string(request.range->offset + request.range->length - 1));
  }
  return out;
}

bool HttpClient::State::take_answer(OpenExchange& exchange, HttpResponse& response, BodySink& sink,
                                    const std::stop_token& stop) {
  ExchangeHead head = exchange.head(stop);
  answered = true;
  response.status = head.status;
  response.headers = std::move(head.headers);
  const bool success = response.status >= 200 && response.status < 300;
  if (success) sink.begin(response);
  response.error_body.clear();
  while (true) {
    const std::vector<std::byte> chunk = exchange.body(stop);
    if (chunk.empty()) break;
    if (counts != nullptr) counts->received_bytes += chunk.size();
    if (success) sink.write(chunk);
    // What is not read yet fills the queue, which stops the sender.
    if (config.bandwidth) config.bandwidth->took(chunk.size(), stop);
    if (success) continue;
    const std::size_t room = kErrorBodyMax - response.error_body.size();
    const std::string_view text = as_text(chunk);
    response.error_body += text.substr(0, room);
    if (text.size() > room) return is_redirect(response.status);
  }
  const ExchangeEnd end = exchange.end();
  response.address = end.address;
  response.tls_peer = end.tls_peer;
  return is_redirect(response.status);
}

HttpResponse HttpClient::State::follow(const HttpRequest& request, BodySink& sink,
                                       const std::stop_token& stop) {
  HttpResponse response;
  response.url = request.url;
  for (int hop = 0; hop <= kRedirectsMax; ++hop) {
    ++requests;
    response.status = 0;
    const Counting counting{counts.get(), response, std::chrono::steady_clock::now()};
    OpenExchange exchange(loop, exchange_for(request, response.url));
    if (!take_answer(exchange, response, sink, stop)) return response;
    const auto location = response.headers.find("location");
    if (!location) {
      fail(ErrorKind::Corrupt, without_query(response.url) + ": status " +
                                   std::to_string(response.status) + " without a Location");
    }
    if (request.post && response.status != 307 && response.status != 308) {
      fail(ErrorKind::Unsupported, without_query(response.url) + ": status " +
                                       std::to_string(response.status) + " to a POST");
    }
    Url next = resolve(response.url, *location);
    check_redirect(current_policy(), response.url, next);
    response.redirects.push_back(
        {std::exchange(response.url, std::move(next)), response.status, response.headers});
  }
  fail(ErrorKind::Corrupt,
       without_query(request.url) + ": more than " + std::to_string(kRedirectsMax) + " redirects");
}

HttpClient::HttpClient(HttpConfig config) : state_(std::make_unique<State>(std::move(config))) {}

HttpClient::~HttpClient() = default;

HttpResponse HttpClient::get(const HttpRequest& request, BodySink& sink,
                             const std::stop_token& stop) {
  if (state_->config.offline) {
    if (state_->config.outbound) state_->config.outbound->refuse(without_query(request.url));
    fail(ErrorKind::Denied, without_query(request.url) + ": offline = true, no request is made");
  }
  state_->config.slots->acquire();

  struct Slot {
    State& state;

    ~Slot() { state.config.slots->release(); }
  } const slot{*state_};

  return state_->follow(request, sink, stop);
}

void HttpClient::check_target(const Url& from, const Url& to) const {
  check_redirect(state_->current_policy(), from, to);
}

const HttpConfig& HttpClient::config() const noexcept { return state_->config; }

std::uint64_t HttpClient::requests() const noexcept { return state_->requests; }

bool HttpClient::answered() const noexcept { return state_->answered; }

}  // namespace holdfast::mirror
