// Requests to one upstream: values go in, bodies stream out to a sink in the caller's thread.
//
// One background thread owns all sockets; any number of threads may call get(), of which
// kRequestsMax run at once, with those of other clients that share the slots, and the others wait.
// Redirects are followed here, by redirect_policy.h. The token goes to the endpoint's own scheme,
// host and port and nowhere else. No retries: see hub_upstream.h.
//
// Errors: Denied (offline, refused redirect or address, untrusted certificate), Unavailable (no
// connection, reset, cut short), Timeout (silent), Corrupt (not HTTP, redirect loop), LimitExceeded
// (longer than asked for), Cancelled. ConnectError is any of them when no connection came about.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "mirror/bandwidth.h"
#include "mirror/http_headers.h"
#include "mirror/outbound.h"
#include "mirror/proxy.h"
#include "mirror/redirect_policy.h"
#include "mirror/url.h"
#include "storage/base/error.h"
#include "storage/blob_store.h"

namespace holdfast::mirror {

struct HttpConfig {
  Url endpoint;
  std::string token;    // "" = anonymous
  std::string proxy;    // "" = as the environment says
  std::string ca_file;  // "" = SSL_CERT_FILE, else the system's
  std::vector<std::string> redirect_hosts = {"huggingface.co", "hf.co"};
  std::vector<std::string> allow_private = {};     // address ranges (redirect_policy.h)
  std::shared_ptr<Bandwidth> bandwidth = nullptr;  // shared by all clients of the upstream
  bool offline = false;
  std::shared_ptr<Outbound> outbound = nullptr;   // shared by all clients of the process
  std::string upstream = {};                      // by which name its requests are counted there
  std::shared_ptr<RequestSlots> slots = nullptr;  // shared with other clients; nullptr: own ones
  std::chrono::milliseconds connect_timeout{15'000};
  std::chrono::milliseconds stall_window{30'000};
  std::uint64_t stall_bytes = 1024;
  Environment environment = process_environment();
};

struct HttpRequest {
  Url url;
  std::optional<storage::ByteRange> range;
  bool compressed = false;
  std::uint64_t body_max = 0;
  std::vector<std::string> header_lines = {};  // further ones
  std::optional<std::string> post = {};        // a body makes it a POST
  bool token_as_password = false;              // Basic instead of Bearer, as git servers want it
};

// One answer on the way: a redirect, or the last one.
struct HttpHop {
  Url url;
  int status = 0;
  Headers headers;
};

struct HttpResponse {
  int status = 0;
  Url url;  // that answered, after redirects
  Headers headers;
  std::vector<HttpHop> redirects;
  std::string error_body;  // of an answer other than 2xx, cut at kErrorBodyMax
  std::string address;     // of the peer; empty when an error body was cut
  std::string tls_peer;    // its certificate in words
};

// Nobody was reached: no such name, nobody listening, no common TLS. Says what to check.
class ConnectError : public Error {
 public:
  using Error::Error;
};

// Takes the body of a 2xx answer. Throwing from either function ends the request with that error.
class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual void begin(const HttpResponse& head) = 0;
  virtual void write(std::span<const std::byte> bytes) = 0;
};

// Thread-safe.
class HttpClient {
 public:
  explicit HttpClient(HttpConfig config);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  // Any status is an answer; only 2xx bodies reach the sink. A POST follows 307 and 308 only, else
  // Unsupported.
  HttpResponse get(const HttpRequest& request, BodySink& sink, const std::stop_token& stop);

  // Throws Error(Denied) when an address that came from upstream may not be asked.
  void check_target(const Url& from, const Url& to) const;

  const HttpConfig& config() const noexcept;
  std::uint64_t requests() const noexcept;  // sent so far, redirects included
  // True once anyone answered anything.
  bool answered() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::mirror
