// The HTTP/1.1 server: listens on one address and, if asked, on a Unix socket, and answers with
// handle(). One thread per io_context, SO_REUSEPORT between them; a connection never changes
// thread.
//
// Files go out by sendfile(2) straight from the page cache. What is not in the page cache is read
// by a small pool, as nginx's "aio threads" does, so that a cold disk never stalls a thread full of
// connections. Catalog scans, page rendering and synced writes run on that pool too; point look-ups
// run inline, because the hop costs more than they do.
//
// All members may be called from one owner's thread; drain() may be called from any thread. The
// server's threads block all signals, so that SIGPIPE never ends the process and the owner's thread
// gets the others.
//
// Errors: Denied (an address others can reach, without a token, `insecure`, or anonymous reading
// asked for), Invalid (no address), Conflict
// (address in use), Io.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "storage/pull_through.h"
#include "storage/store.h"
#include "web/guards.h"
#include "web/limits.h"
#include "web/tls.h"
#include "web/xet.h"

namespace holdfast::web {

// How long each wait on a socket may take; tests shorten them.
struct Timeouts {
  std::chrono::milliseconds header = kHeaderTimeout;
  std::chrono::milliseconds body = kBodyTimeout;
  std::chrono::milliseconds idle = kIdleTimeout;
  std::chrono::milliseconds send = kSendTimeout;
  std::chrono::milliseconds linger = kLingerTimeout;
};

struct ServerOptions {
  std::string listen =
      "127.0.0.1:8080";      // "ADDR:PORT", "[ADDR6]:PORT", "localhost:PORT"; port 0: any
  std::string external_url;  // as clients see us; "" takes it from each request's Host
  unsigned threads = 0;      // 0: one per CPU
  XetMode xet = XetMode::Large;
  bool insecure = false;  // allow an address that is not loopback without a token, to read all
  GuardOptions guards;
  TlsOptions tls;                     // without a certificate: none
  std::filesystem::path socket_path;  // Unix socket, mode 0600, its clients are trusted; "": none
  std::filesystem::path access_log;   // one line a request (access_log.h); "": none
  std::string version = "0";
  std::size_t connections_max = kConnectionsMax;
  std::size_t bodies_max = kBodiesBytesMax;  // bytes of requests' bodies that are kept at once
  Timeouts timeouts;
  // As in Services (handler.h); pull is borrowed.
  storage::PullThrough* pull = nullptr;
  std::function<Json::Object()> mirrors = {};
  std::function<std::string()> more_metrics = {};
  std::string webhook_secret = {};
};

class Server {
 public:
  // Checks the options; listens on nothing yet. `store` is borrowed and outlives the server.
  Server(ServerOptions options, storage::Store& store);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();  // drains without patience

  // Binds and starts the threads; when it returns, connections are accepted.
  void start();

  // "127.0.0.1:8080" with the port that was bound. After start().
  std::string address() const;
  std::uint16_t port() const;

  // Stops accepting, closes idle connections, lets answers under way finish until `patience` ends,
  // then closes the rest and joins the threads. Idempotent.
  void drain(std::chrono::milliseconds patience);

  // Opens anew what stands in files that may have changed: the certificate, the audit trail. What
  // cannot be opened stays as it was, and the log says so. From any thread.
  void reload() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::web
