// The sockets under the imposter: a blocking HTTP/1.1 server, one thread per connection. For tests.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "mirror/http_headers.h"
#include "storage/base/sync.h"

namespace holdfast::fakes {

struct WireRequest {
  std::string method, target;
  mirror::Headers headers;
  std::string body;
};

// The open connection, for a handler to write its answer to. Writing to a peer that left does
// nothing. One handler at a time.
class Wire {
 public:
  explicit Wire(int fd) : fd_(fd) {}

  // False once the peer is gone.
  bool send(std::string_view bytes);
  // Sends RST instead of an orderly end, and no more.
  void reset();
  // Ends the connection after what was sent.
  void close();
  // Blocks until the peer (or the server) closes the connection.
  void wait_for_end();

  bool open() const noexcept { return open_; }

 private:
  int fd_;
  bool open_ = true;
};

// Listens on a free port of 127.0.0.1 (or the given one) until destroyed.
class WireServer {
 public:
  using Handler = std::function<void(const WireRequest&, Wire&)>;

  explicit WireServer(Handler handler, std::uint16_t port = 0);
  WireServer(const WireServer&) = delete;
  WireServer& operator=(const WireServer&) = delete;
  ~WireServer();

  std::uint16_t port() const noexcept { return port_; }

 private:
  struct Connections {
    std::list<std::thread> threads;
    std::vector<int> open;
    bool stopping = false;
  };

  void accept_all();
  void serve(int fd);

  Handler handler_;
  int listener_;
  std::uint16_t port_ = 0;
  Sync<Connections> connections_;
  std::thread acceptor_;
};

}  // namespace holdfast::fakes
