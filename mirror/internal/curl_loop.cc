#include "mirror/internal/curl_loop.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <span>
#include <utility>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <sys/socket.h>

#include "mirror/http_client.h"
#include "mirror/limits.h"
#include "mirror/redirect_policy.h"

namespace holdfast::mirror {

using SteadyClock = std::chrono::steady_clock;

struct Exchange::Handle {
  CURL* easy = nullptr;
  curl_slist* header_lines = nullptr;
  std::array<char, CURL_ERROR_SIZE> text{};
  ExchangeHead head;
  bool head_given = false;
  bool success = false;  // the caller cuts other bodies by itself
  std::size_t header_bytes = 0;
  std::vector<std::byte> filling;  // body bytes not yet in the queue
  std::uint64_t body_bytes = 0;
  SteadyClock::time_point window_start{};
  std::uint64_t window_bytes = 0;
  std::optional<ExchangeFailure> refusal;  // our own reason for ending it
  std::atomic<bool>* saw_private_address = nullptr;
  Exchange* owner = nullptr;

  ~Handle() {
    curl_easy_cleanup(easy);
    curl_slist_free_all(header_lines);
  }

  // The names below are curl's callbacks; each returns what curl documents for it.
  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self);
  static curl_socket_t on_socket(void* self, curlsocktype, curl_sockaddr* address);

  // Hands over what on_body gathered.
  void flush();
};

namespace {

constexpr std::size_t kChunkBytes = 256 << 10;

std::string url_for_people(const std::string& url) { return url.substr(0, url.find('?')); }

struct Outcome {
  CURLcode code;
  ErrorKind kind;
  bool unconnected = false;
  const char* advice = "";
};

constexpr const char* kCaAdvice = "; check ca_file or SSL_CERT_FILE";

// What a curl code means for us; all others are Unavailable, which is worth another attempt.
constexpr Outcome kOutcomes[] = {
    {CURLE_OPERATION_TIMEDOUT, ErrorKind::Timeout},
    {CURLE_COULDNT_RESOLVE_HOST, ErrorKind::Unavailable, true,
     "; check the name, and this machine's DNS or proxy"},
    {CURLE_COULDNT_RESOLVE_PROXY, ErrorKind::Unavailable, true, "; check the proxy's name"},
    {CURLE_COULDNT_CONNECT, ErrorKind::Unavailable, true,
     "; check the address and port, and that a hub listens there"},
    {CURLE_SSL_CONNECT_ERROR, ErrorKind::Unavailable, true,
     "; check that this port speaks https, and the proxy"},
    {CURLE_PEER_FAILED_VERIFICATION, ErrorKind::Denied, true, kCaAdvice},
    {CURLE_SSL_CACERT_BADFILE, ErrorKind::Denied, true, kCaAdvice},
    {CURLE_SSL_ISSUER_ERROR, ErrorKind::Denied, true, kCaAdvice},
    {CURLE_UNSUPPORTED_PROTOCOL, ErrorKind::Corrupt},
    {CURLE_URL_MALFORMAT, ErrorKind::Invalid},
    {CURLE_BAD_CONTENT_ENCODING, ErrorKind::Corrupt},
    {CURLE_OUT_OF_MEMORY, ErrorKind::Io},
};

// True once all handshakes, of proxy and TLS too, were through.
bool was_connected(CURL* easy) noexcept {
  curl_off_t microseconds = 0;
  curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &microseconds);
  return microseconds > 0;
}

Outcome outcome_of(CURLcode code, CURL* easy) noexcept {
  if (code == CURLE_OPERATION_TIMEDOUT && !was_connected(easy)) {
    return {code, ErrorKind::Timeout, true,
            "; check the address, port and scheme, and what firewall or proxy is on the way"};
  }
  const auto found = std::ranges::find(kOutcomes, code, &Outcome::code);
  return found == std::end(kOutcomes) ? Outcome{code, ErrorKind::Unavailable} : *found;
}

[[noreturn]] void throw_failure(const ExchangeFailure& failure) {
  if (failure.unconnected) throw ConnectError(failure.kind, failure.text);
  fail(failure.kind, failure.text);
}

std::string peer_certificate(CURL* easy) {
  curl_certinfo* chain = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == nullptr ||
      chain->num_of_certs == 0) {
    return {};
  }
  std::string out;
  for (const curl_slist* field = chain->certinfo[0]; field != nullptr; field = field->next) {
    const std::string_view line(field->data);
    if (line.starts_with("Subject:") || line.starts_with("Issuer:") ||
        line.starts_with("Expire date:")) {
      if (!out.empty()) out += "; ";
      out += line;
    }
  }
  return out;
}

std::string address_text(const curl_sockaddr& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* source = nullptr;
  if (address.family == AF_INET) {
    source = &reinterpret_cast<const sockaddr_in*>(&address.addr)->sin_addr;
  } else if (address.family == AF_INET6) {
    source = &reinterpret_cast<const sockaddr_in6*>(&address.addr)->sin6_addr;
  }
  if (source == nullptr) return {};
  inet_ntop(address.family, source, text.data(), text.size());
  return text.data();
}

void set_options(CURL* easy, const ExchangeRequest& request) {
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  // One connection per transfer: a single multiplexed one would be the bottleneck of large files.
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 512L * 1024);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "holdfast/" HOLDFAST_VERSION);
  curl_easy_setopt(easy, CURLOPT_PROXY, request.proxy.c_str());
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(request.connect_timeout.count()));
  if (!request.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, request.ca_file.c_str());
  if (request.compressed) curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  if (request.post) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.post->size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.post->data());
  }
}

}  // namespace

std::size_t Exchange::Handle::on_header(char* data, std::size_t, std::size_t size, void* self) {
  auto& handle = *static_cast<Handle*>(self);
  if (handle.head_given) return size;  // a trailer
  handle.header_bytes += size;
  if (handle.header_bytes > kHeaderBytesMax) {
    handle.refusal = {ErrorKind::LimitExceeded,
                      url_for_people(handle.owner->request_.url) + ": headers above 64 KiB"};
    return 0;
  }
  const std::string_view line(data, size);
  if (line.starts_with("HTTP/")) handle.head = {};
  if (line != "\r\n" && line != "\n") {
    add_header_line(handle.head.headers, line);
    return size;
  }
  long status = 0;
  curl_easy_getinfo(handle.easy, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200) return size;  // an interim answer
  handle.head.status = static_cast<int>(status);
  handle.head_given = true;
  handle.success = status < 300;
  handle.owner->shared_.lock()->head = std::move(handle.head);
  handle.owner->shared_.notify_all();
  return size;
}

std::size_t Exchange::Handle::on_body(char* data, std::size_t, std::size_t size, void* self) {
  auto& handle = *static_cast<Handle*>(self);
  Exchange& owner = *handle.owner;
  if (handle.success && handle.body_bytes + size > owner.request_.body_max) {
    handle.refusal = {ErrorKind::LimitExceeded,
                      url_for_people(owner.request_.url) + ": the answer is longer than " +
                          std::to_string(owner.request_.body_max) + " bytes"};
    return 0;
  }
  // curl gives 16 KiB at a time: they are gathered, so that the taker is woken for larger pieces.
  if (handle.filling.size() + size > kChunkBytes) handle.flush();
  if (handle.filling.empty()) {
    {
      auto shared = owner.shared_.lock();
      if (shared->queued_bytes + kChunkBytes > kQueuedBodyMax) {
        shared->paused = true;
        return CURL_WRITEFUNC_PAUSE;
      }
    }
    if (handle.body_bytes > 0) handle.filling.reserve(kChunkBytes);
  }
  const auto* const bytes = reinterpret_cast<const std::byte*>(data);
  handle.filling.insert(handle.filling.end(), bytes, bytes + size);
  handle.body_bytes += size;
  handle.window_bytes += size;
  return size;
}

void Exchange::Handle::flush() {
  if (filling.empty()) return;
  {
    auto shared = owner->shared_.lock();
    shared->queued_bytes += filling.size();
    shared->chunks.push_back(std::exchange(filling, {}));
  }
  owner->shared_.notify_all();
}

curl_socket_t Exchange::Handle::on_socket(void* self, curlsocktype, curl_sockaddr* address) {
  auto& handle = *static_cast<Handle*>(self);
  const std::string text = address_text(*address);
  const ExchangeRequest& request = handle.owner->request_;
  const bool is_private = is_private_host(text) && !is_within(text, request.allow_private);
  if (is_private && request.addresses_checked) {
    handle.refusal = {ErrorKind::Denied,
                      url_for_people(request.url) + ": resolves to the private address " + text +
                          ", while the endpoint is public and allow_private does not list it"};
    return CURL_SOCKET_BAD;
  }
  if (is_private) *handle.saw_private_address = true;
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

Exchange::Exchange(ExchangeRequest request)
    : request_(std::move(request)), handle_(std::make_unique<Handle>()) {}

Exchange::~Exchange() = default;

CurlLoop::CurlLoop() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  multi_ = curl_multi_init();
  if (multi_ == nullptr) fail(ErrorKind::Io, "libcurl: cannot start");
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(2 * kRequestsMax));
  thread_ = std::thread([this] { run(); });
}

CurlLoop::~CurlLoop() {
  mail_.lock()->stop = true;
  curl_multi_wakeup(multi_);
  thread_.join();
  curl_multi_cleanup(multi_);
}

void CurlLoop::post(std::vector<std::shared_ptr<Exchange>> Mail::* box,
                    const std::shared_ptr<Exchange>& exchange) {
  ((*mail_.lock()).*box).push_back(exchange);
  curl_multi_wakeup(multi_);
}

std::shared_ptr<Exchange> CurlLoop::start(ExchangeRequest request) {
  auto exchange = std::make_shared<Exchange>(std::move(request));
  post(&Mail::started, exchange);
  return exchange;
}

void CurlLoop::cancel(const std::shared_ptr<Exchange>& exchange) {
  post(&Mail::cancelled, exchange);
}

ExchangeHead CurlLoop::wait_head(const std::shared_ptr<Exchange>& exchange,
                                 const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [&] {
    exchange->shared_.lock()->cancelled = true;
    exchange->shared_.notify_all();
  });
  auto shared = exchange->shared_.lock();
  shared.wait([](const auto& s) { return s.head || s.end || s.cancelled; });
  if (shared->cancelled) fail(ErrorKind::Cancelled, "stopped");
  if (!shared->head) {
    if (shared->end->failure) throw_failure(*shared->end->failure);
    fail(ErrorKind::Corrupt, url_for_people(exchange->request_.url) + ": an answer without a head");
  }
  return std::exchange(*shared->head, {});
}

std::vector<std::byte> CurlLoop::wait_body(const std::shared_ptr<Exchange>& exchange,
                                           const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [&] {
    exchange->shared_.lock()->cancelled = true;
    exchange->shared_.notify_all();
  });
  std::vector<std::byte> chunk;
  bool resume = false;
  {
    auto shared = exchange->shared_.lock();
    shared.wait([](const auto& s) { return !s.chunks.empty() || s.end || s.cancelled; });
    if (shared->cancelled) fail(ErrorKind::Cancelled, "stopped");
    if (shared->chunks.empty()) {
      if (shared->end->failure) throw_failure(*shared->end->failure);
      return {};
    }
    chunk = std::move(shared->chunks.front());
    shared->chunks.pop_front();
    shared->queued_bytes -= chunk.size();
    resume = shared->paused && shared->queued_bytes < kQueuedBodyMax / 2;
    if (resume) shared->paused = false;
  }
  if (resume) post(&Mail::resumed, exchange);
  return chunk;
}

ExchangeEnd CurlLoop::end_of(const std::shared_ptr<Exchange>& exchange) {
  return exchange->shared_.lock()->end.value_or(ExchangeEnd{});
}

void CurlLoop::run() {
  while (true) {
    const Mail mail = std::exchange(*mail_.lock(), {});
    handle_mail(mail);
    if (mail.stop) break;
    int running = 0;
    curl_multi_perform(multi_, &running);
    for (const auto& exchange : running_) exchange->handle_->flush();
    handle_finished();
    end_silent_ones();
    curl_multi_poll(multi_, nullptr, 0, running_.empty() ? 1000 : 50, nullptr);
  }
  while (!running_.empty()) {
    finish(*running_.back(), ExchangeFailure{ErrorKind::Cancelled, "the client was closed"});
  }
}

void CurlLoop::handle_mail(const Mail& mail) {
  for (const auto& exchange : mail.started) {
    Exchange::Handle& handle = *exchange->handle_;
    handle.easy = curl_easy_init();
    handle.owner = exchange.get();
    handle.saw_private_address = &saw_private_address_;
    handle.window_start = SteadyClock::now();
    set_options(handle.easy, exchange->request_);
    for (const std::string& line : exchange->request_.header_lines) {
      handle.header_lines = curl_slist_append(handle.header_lines, line.c_str());
    }
    curl_easy_setopt(handle.easy, CURLOPT_HTTPHEADER, handle.header_lines);
    curl_easy_setopt(handle.easy, CURLOPT_ERRORBUFFER, handle.text.data());
    curl_easy_setopt(handle.easy, CURLOPT_PRIVATE, exchange.get());
    curl_easy_setopt(handle.easy, CURLOPT_HEADERFUNCTION, &Exchange::Handle::on_header);
    curl_easy_setopt(handle.easy, CURLOPT_HEADERDATA, &handle);
    curl_easy_setopt(handle.easy, CURLOPT_WRITEFUNCTION, &Exchange::Handle::on_body);
    curl_easy_setopt(handle.easy, CURLOPT_WRITEDATA, &handle);
    curl_easy_setopt(handle.easy, CURLOPT_OPENSOCKETFUNCTION, &Exchange::Handle::on_socket);
    curl_easy_setopt(handle.easy, CURLOPT_OPENSOCKETDATA, &handle);
    running_.push_back(exchange);
    curl_multi_add_handle(multi_, handle.easy);
  }
  const auto is_running = [this](const auto& exchange) {
    return std::ranges::find(running_, exchange) != running_.end();
  };
  for (const auto& exchange : mail.resumed) {
    if (!is_running(exchange)) continue;
    exchange->handle_->window_start = SteadyClock::now();
    curl_easy_pause(exchange->handle_->easy, CURLPAUSE_CONT);
  }
  for (const auto& exchange : mail.cancelled) {
    if (is_running(exchange)) finish(*exchange, ExchangeFailure{ErrorKind::Cancelled, "stopped"});
  }
}

void CurlLoop::handle_finished() {
  int left = 0;
  while (const CURLMsg* const message = curl_multi_info_read(multi_, &left)) {
    const CURLcode code = message->data.result;
    Exchange* exchange = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
    if (code == CURLE_OK) {
      finish(*exchange, std::nullopt);
      continue;
    }
    Exchange::Handle& handle = *exchange->handle_;
    const char* const text = handle.text[0] != '\0' ? handle.text.data() : curl_easy_strerror(code);
    const Outcome outcome = outcome_of(code, message->easy_handle);
    ExchangeFailure failure{outcome.kind,
                            url_for_people(exchange->request_.url) + ": " + text + outcome.advice,
                            outcome.unconnected};
    finish(*exchange, handle.refusal.value_or(std::move(failure)));
  }
}

void CurlLoop::end_silent_ones() {
  const auto now = SteadyClock::now();
  std::vector<std::shared_ptr<Exchange>> silent;
  for (const auto& exchange : running_) {
    Exchange::Handle& handle = *exchange->handle_;
    const ExchangeRequest& request = exchange->request_;
    if (now - handle.window_start < request.stall_window) continue;
    const bool paused = exchange->shared_.lock()->paused;
    if (handle.window_bytes < request.stall_bytes && !paused) silent.push_back(exchange);
    handle.window_start = now;
    handle.window_bytes = 0;
  }
  for (const auto& exchange : silent) {
    const auto& request = exchange->request_;
    finish(*exchange, ExchangeFailure{ErrorKind::Timeout,
                                      url_for_people(request.url) + ": less than " +
                                          std::to_string(request.stall_bytes) + " bytes in " +
                                          std::to_string(request.stall_window.count()) + " ms"});
  }
}

void CurlLoop::finish(Exchange& exchange, std::optional<ExchangeFailure> failure) {
  ExchangeEnd end;
  end.failure = std::move(failure);
  CURL* const easy = exchange.handle_->easy;
  const char* address = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address);
  if (address != nullptr) end.address = address;
  end.tls_peer = peer_certificate(easy);
  curl_multi_remove_handle(multi_, easy);
  const auto found = std::ranges::find(running_, &exchange, &std::shared_ptr<Exchange>::get);
  const std::shared_ptr<Exchange> kept = std::move(*found);  // until its waiter knows
  running_.erase(found);
  exchange.shared_.lock()->end = std::move(end);
  exchange.shared_.notify_all();
}

}  // namespace holdfast::mirror
