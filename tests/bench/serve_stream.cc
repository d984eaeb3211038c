// Fetches one URL over one connection again and again and keeps nothing of it: the client's part of
// a bulk benchmark. recv(MSG_TRUNC) drops the bytes in the kernel, so that the client costs as
// little as it can. Prints the best rate in GB/s and the GB of all rounds.
//
//   serve_stream PORT TARGET ROUNDS
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(2);
}

int connect_to(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<std::uint16_t>(port));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) die("connect");
  return fd;
}

// The body's size and how much of it came with the head.
struct Start {
  std::size_t size_bytes = 0;
  std::size_t had_bytes = 0;
};

Start read_head(int fd) {
  std::string head;
  char bytes[4096];
  std::size_t end = 0;
  while ((end = head.find("\r\n\r\n")) == std::string::npos) {
    const ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) die("recv");
    head.append(bytes, static_cast<std::size_t>(got));
  }
  const auto at = head.find("Content-Length: ");
  if (at == std::string::npos || head.compare(0, 12, "HTTP/1.1 200") != 0) die("answer");
  return {std::stoull(head.substr(at + 16)), head.size() - end - 4};
}

struct Fetched {
  double gigabytes = 0;
  double seconds = 0;
};

Fetched fetch(int fd, const std::string& request) {
  const auto started = std::chrono::steady_clock::now();
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) die("send");
  const Start start = read_head(fd);
  constexpr std::size_t kDrop = 4 * 1024 * 1024;
  static char ignored[1];
  for (std::size_t left = start.size_bytes - start.had_bytes; left > 0;) {
    const ssize_t got = ::recv(fd, ignored, std::min(left, kDrop), MSG_TRUNC);
    if (got <= 0) die("recv");
    left -= static_cast<std::size_t>(got);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  return {static_cast<double>(start.size_bytes) / 1e9, took.count()};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: serve_stream PORT TARGET ROUNDS\n");
    return 64;
  }
  const int fd = connect_to(std::atoi(argv[1]));
  const std::string request =
      "GET " + std::string(argv[2]) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  double best = 0;
  double total = 0;
  for (int round = 0; round < std::atoi(argv[3]); ++round) {
    const Fetched fetched = fetch(fd, request);
    best = std::max(best, fetched.gigabytes / fetched.seconds);
    total += fetched.gigabytes;
  }
  std::printf("%.3f %.3f\n", best, total);
  ::close(fd);
  return 0;
}
