#include "tests/fakes/hub_imposter_http.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/base/error.h"

namespace holdfast::fakes {
namespace {

// Reads up to the empty line; false when the peer closed.
bool read_head(int fd, std::string& head) {
  std::array<char, 4096> buffer{};
  while (head.find("\r\n\r\n") == head.npos) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0 || head.size() > (1 << 20)) return false;
    head.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return true;
}

WireRequest parse_head(std::string_view head) {
  WireRequest request;
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const std::size_t first = line.find(' '), second = line.rfind(' ');
  request.method = line.substr(0, first);
  request.target = line.substr(first + 1, second - first - 1);
  for (std::size_t at = line.size() + 2; at < head.size();) {
    const std::size_t end = head.find("\r\n", at);
    if (end == at || end == head.npos) break;
    mirror::add_header_line(request.headers, head.substr(at, end - at));
    at = end + 2;
  }
  return request;
}

// The body that Content-Length announces; what came with the head is taken from `buffer`.
std::string read_body(int fd, const WireRequest& request, std::string& buffer) {
  const auto length = request.headers.find("content-length");
  const std::size_t size = length ? std::strtoull(std::string(*length).c_str(), nullptr, 10) : 0;
  while (buffer.size() < size) {
    char bytes[65536];
    const ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) break;
    buffer.append(bytes, static_cast<std::size_t>(got));
  }
  std::string body = buffer.substr(0, size);
  buffer.erase(0, body.size());
  return body;
}

}  // namespace

bool Wire::send(std::string_view bytes) {
  while (open_ && !bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      open_ = false;
    } else {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  return open_;
}

void Wire::reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  open_ = false;
}

void Wire::close() { open_ = false; }

void Wire::wait_for_end() {
  std::array<char, 64> ignored{};
  while (::recv(fd_, ignored.data(), ignored.size(), 0) > 0) continue;
  open_ = false;
}

WireServer::WireServer(Handler handler, std::uint16_t port)
    : handler_(std::move(handler)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const int yes = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listener_, 128) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    fail_errno("listen", "127.0.0.1", errno);
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

WireServer::~WireServer() {
  {
    auto connections = connections_.lock();
    connections->stopping = true;
    for (const int fd : connections->open) ::shutdown(fd, SHUT_RDWR);
  }
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  std::list<std::thread> threads;
  std::swap(threads, connections_.lock()->threads);
  for (std::thread& thread : threads) thread.join();
  ::close(listener_);
}

void WireServer::accept_all() {
  while (true) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    auto connections = connections_.lock();
    if (connections->stopping) {
      ::close(fd);
      return;
    }
    connections->open.push_back(fd);
    connections->threads.emplace_back([this, fd] { serve(fd); });
  }
}

void WireServer::serve(int fd) {
  Wire wire(fd);
  std::string head;
  while (wire.open() && read_head(fd, head)) {
    const std::size_t end = head.find("\r\n\r\n") + 4;
    WireRequest request = parse_head(std::string_view(head).substr(0, end));
    head.erase(0, end);
    request.body = read_body(fd, request, head);
    handler_(request, wire);
  }
  auto connections = connections_.lock();
  std::erase(connections->open, fd);
  ::close(fd);
}

}  // namespace holdfast::fakes
