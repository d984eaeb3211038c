// A server to talk to, and a client that talks to it byte by byte.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "storage/base/file.h"
#include "tests/web/sample_store.h"
#include "web/server.h"

namespace holdfast::tests {

// A client that says exactly what the test says, and waits no longer than a minute for an answer if
// nobody says otherwise.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_bytes = 0) : fd_(open_socket(AF_INET)) {
    if (receive_bytes > 0) {
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    }
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0;
  }

  explicit RawClient(const std::filesystem::path& socket) : fd_(open_socket(AF_UNIX)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    socket.native().copy(name.sun_path, sizeof name.sun_path - 1);
    connected_ = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0;
  }

  bool connected() const { return connected_; }

  // 0: as long as it takes.
  void set_patience(std::chrono::seconds patience) { set_patience(fd_, patience); }

  // What came and is no answer yet that next() gave.
  const std::string& received() const { return received_; }

  bool send(std::string_view text) {
    return ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }

  // More of what the server says; false at its end.
  bool read_more() {
    char bytes[65536];
    const ssize_t got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (got > 0) received_.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  }

  struct Answer {
    int status = 0;
    std::string head, body;

    // The value of a header line, "" when absent.
    std::string header(const std::string& name) const {
      const auto at = head.find("\r\n" + name + ": ");
      if (at == std::string::npos) return "";
      const auto start = at + name.size() + 4;
      return head.substr(start, head.find("\r\n", start) - start);
    }
  };

  // The next answer; status 0 when the server closed the connection instead.
  Answer next(bool head_only = false) {
    Answer answer;
    std::size_t head_end = 0;
    while ((head_end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more()) return answer;
    }
    answer.head = received_.substr(0, head_end + 2);
    received_.erase(0, head_end + 4);
    answer.status = std::stoi(answer.head.substr(9, 3));
    const std::string length = answer.header("Content-Length");
    if (head_only || length.empty()) return answer;
    const std::size_t size = std::stoull(length);
    while (received_.size() < size && read_more()) {
    }
    answer.body = received_.substr(0, size);
    received_.erase(0, size);
    return answer;
  }

  Answer ask(std::string_view method, std::string_view target, std::string_view headers = "") {
    send(std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: t\r\n" +
         std::string(headers) + "\r\n");
    return next(method == "HEAD");
  }

  // Whether the server ends the connection without another byte.
  bool ends() { return received_.empty() && !read_more() && received_.empty(); }

 private:
  static UniqueFd open_socket(int family) {
    UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    set_patience(fd, std::chrono::minutes(1));
    return fd;
  }

  static void set_patience(const UniqueFd& fd, std::chrono::seconds patience) {
    const timeval time{.tv_sec = patience.count(), .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  }

  UniqueFd fd_;
  bool connected_ = false;
  std::string received_;
};

// A socket for a Worker of a test, which listens on a port of its own.
struct Listener {
  UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  std::uint16_t port = 0;  // 0: it does not listen

  Listener() {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    auto* address = reinterpret_cast<sockaddr*>(&name);
    const bool listens = ::bind(fd.get(), address, size) == 0 && ::listen(fd.get(), 10) == 0 &&
                         ::getsockname(fd.get(), address, &size) == 0;
    if (listens) port = ntohs(name.sin_port);
  }
};

// A server of the sample store on a port of its own and on a Unix socket.
struct Running {
  explicit Running(web::Timeouts timeouts = {}, std::size_t connections_max = web::kConnectionsMax)
      : socket_path(sample.directory.path() / "web.sock"),
        server(web::ServerOptions{.listen = "127.0.0.1:0",
                                  .threads = 2,
                                  .socket_path = socket_path,
                                  .version = "test",
                                  .connections_max = connections_max,
                                  .timeouts = timeouts},
               *sample.store) {
    server.start();
  }

  RawClient client() const { return RawClient(server.port()); }

  SampleStore sample;
  std::filesystem::path socket_path;
  web::Server server;
};

}  // namespace holdfast::tests
