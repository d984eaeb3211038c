// The one thread that owns curl_multi. It moves bytes from sockets into bounded queues and nothing
// else: no disk, no hashing, no policy. A queue that is full pauses its transfer, so a slow taker
// slows its sender and memory stays bounded.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "mirror/http_headers.h"
#include "mirror/redirect_policy.h"
#include "storage/base/error.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {

// One HTTP exchange as a value; no redirects are followed here.
struct ExchangeRequest {
  std::string url;
  std::vector<std::string> header_lines;
  std::string proxy;                             // "" = direct
  std::string ca_file;                           // "" = the system's
  bool compressed = false;                       // ask for gzip
  bool addresses_checked = false;                // refuse to connect to private addresses …
  std::vector<AddressRange> allow_private = {};  // … that are not in these
  std::uint64_t body_max = 0;
  std::chrono::milliseconds connect_timeout{15'000};
  std::chrono::milliseconds stall_window{30'000};
  std::optional<std::string> post;   // the body of a POST
  std::uint64_t stall_bytes = 1024;  // fewer in a window: the other side is silent
};

struct ExchangeHead {
  int status = 0;
  Headers headers;
};

// An error on its way from the curl thread to the caller, where it is thrown. Not an Error itself:
// exceptions share their text across threads in ways that sanitizers cannot see through.
struct ExchangeFailure {
  ErrorKind kind = ErrorKind::Unavailable;
  std::string text;
  bool unconnected = false;  // no connection came about
};

// How an exchange ended: nothing in `failure` for a complete answer.
struct ExchangeEnd {
  std::optional<ExchangeFailure> failure;
  std::string address;   // of the peer
  std::string tls_peer;  // subject, issuer and expiry of its certificate; empty for plain HTTP
};

// Shared by the curl thread and the one caller that waits for it.
class Exchange {
 public:
  explicit Exchange(ExchangeRequest request);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

 private:
  friend class CurlLoop;
  struct Handle;  // what only the curl thread touches

  struct Shared {
    std::optional<ExchangeHead> head;
    std::deque<std::vector<std::byte>> chunks;
    std::size_t queued_bytes = 0;
    bool paused = false;
    bool cancelled = false;
    std::optional<ExchangeEnd> end;
  };

  ExchangeRequest request_;
  Sync<Shared> shared_;
  std::unique_ptr<Handle> handle_;
};

class CurlLoop {
 public:
  CurlLoop();
  CurlLoop(const CurlLoop&) = delete;
  CurlLoop& operator=(const CurlLoop&) = delete;
  ~CurlLoop();  // ends exchanges still open with Cancelled

  std::shared_ptr<Exchange> start(ExchangeRequest request);

  // Blocks for the head of the answer; throws what ended the exchange before it, and
  // Error(Cancelled) once `stop` is requested.
  ExchangeHead wait_head(const std::shared_ptr<Exchange>& exchange, const std::stop_token& stop);
  // Blocks for the next run of body bytes; empty at the end of a complete body. Throws as above.
  std::vector<std::byte> wait_body(const std::shared_ptr<Exchange>& exchange,
                                   const std::stop_token& stop);
  // Who answered; call after wait_body returned empty.
  static ExchangeEnd end_of(const std::shared_ptr<Exchange>& exchange);
  void cancel(const std::shared_ptr<Exchange>& exchange);

  // True once a connection that was not to be checked went to a private address.
  bool saw_private_address() const noexcept { return saw_private_address_; }

 private:
  struct Mail {
    std::vector<std::shared_ptr<Exchange>> started, resumed, cancelled;
    bool stop = false;
  };

  void run();
  void handle_mail(const Mail& mail);
  void handle_finished();
  void end_silent_ones();
  void finish(Exchange& exchange, std::optional<ExchangeFailure> failure);
  void post(std::vector<std::shared_ptr<Exchange>> Mail::* box,
            const std::shared_ptr<Exchange>& exchange);

  void* multi_;                                     // CURLM
  std::vector<std::shared_ptr<Exchange>> running_;  // curl thread only
  Sync<Mail> mail_;
  std::atomic<bool> saw_private_address_ = false;
  std::thread thread_;  // last: starts when all else stands
};

}  // namespace holdfast::mirror
