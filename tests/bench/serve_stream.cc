// Fetches one URL over and over by so many connections at once and keeps nothing of it: the
// client's part of a bulk benchmark. recv(MSG_TRUNC) drops the bytes in the kernel, so that the
// client costs as little as it can; with "tls" it shakes hands, reads the answer's first record and
// drops the others as they are, undeciphered. With a file's size and that of a part, each request
// asks for another part of the file. Prints GB/s and the GB that came; of parts, parts/s and parts.
//
//   serve_stream PORT TARGET SECONDS CONNECTIONS [tls | SIZE PART]
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

struct Job {
  std::uint16_t port = 0;
  std::string target;
  std::shared_ptr<SSL_CTX> tls;    // shared by the connections; nullptr: they speak plainly
  std::size_t size = 0, part = 0;  // zero: the whole file is asked for
};

[[noreturn]] void die(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) die("connect");
  return fd;
}

// One connection: asks, drops what comes, asks again. A body has its length's bytes; through TLS it
// ends with the connection, and the next request goes over a new one.
class Connection {
 public:
  explicit Connection(const Job& job) : job_(job) { open(); }

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  ~Connection() { close(); }

  int fd() const noexcept { return fd_; }

  // Drops what has come; the bytes of the body among it. True in `reopened` when that ended the
  // connection.
  std::size_t take(bool& reopened) {
    if (reads_head_) return read_head();
    constexpr std::size_t kDrop = std::size_t{4} * 1024 * 1024;
    static char ignored[1];
    const std::size_t wanted = job_.tls ? kDrop : std::min(left_, kDrop);
    // Nothing is written to the buffer. NOLINTNEXTLINE(clang-analyzer-unix.StdCLibraryFunctions)
    const ssize_t got = ::recv(fd_, ignored, wanted, MSG_TRUNC | MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got < 0 || (got == 0 && !job_.tls)) die("recv");
    if (got == 0) {
      close();
      open();
      reopened = true;
      return 0;
    }
    drop(static_cast<std::size_t>(got));
    return static_cast<std::size_t>(got);
  }

 private:
  void open() {
    fd_ = connect_to(job_.port);
    random_.seed(static_cast<unsigned>(fd_));
    if (job_.tls) {
      ssl_.reset(SSL_new(job_.tls.get()));
      SSL_set_fd(ssl_.get(), fd_);
      if (SSL_connect(ssl_.get()) != 1) die("TLS handshake");
    }
    ask();
    while (job_.tls && reads_head_) read_head();
  }

  void close() {
    ssl_.reset();
    ::close(fd_);
  }

  void ask() {
    std::string request = "GET " + job_.target + " HTTP/1.1\r\nHost: localhost\r\n";
    if (job_.tls) request += "Connection: close\r\n";
    if (job_.part != 0) {
      const std::size_t first = random_() % (job_.size / job_.part) * job_.part;
      request += "Range: bytes=" + std::to_string(first) + "-" +
                 std::to_string(first + job_.part - 1) + "\r\n";
    }
    if (!send(request + "\r\n")) die("send");
    reads_head_ = true;
    head_.clear();
  }

  // Waits for the next bytes of the head; those of the body among them.
  std::size_t read_head() {
    std::array<char, 4096> bytes;
    const auto got = receive(bytes.data(), bytes.size());
    if (got <= 0) die("receive");
    head_.append(bytes.data(), static_cast<std::size_t>(got));
    const std::size_t end = head_.find("\r\n\r\n");
    if (end == std::string::npos) return 0;
    const auto at = head_.find("Content-Length: ");
    const std::string_view status = job_.part == 0 ? "HTTP/1.1 200" : "HTTP/1.1 206";
    if (at == std::string::npos || !head_.starts_with(status)) die("answer");
    reads_head_ = false;
    left_ = std::stoull(head_.substr(at + 16));
    const std::size_t of_body = head_.size() - end - 4;
    drop(of_body);
    return of_body;
  }

  void drop(std::size_t bytes) {
    if (job_.tls) return;
    left_ -= bytes;
    if (left_ == 0) ask();
  }

  bool send(const std::string& text) {
    if (ssl_) return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) > 0;
    return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) > 0;
  }

  ssize_t receive(char* bytes, std::size_t size) {
    if (ssl_) return SSL_read(ssl_.get(), bytes, static_cast<int>(size));
    return ::recv(fd_, bytes, size, 0);
  }

  const Job& job_;
  int fd_ = -1;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};
  bool reads_head_ = false;
  std::string head_;
  std::size_t left_ = 0;  // of the body
  std::minstd_rand random_;
};

void watch(int epoll, Connection& connection) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, connection.fd(), &event) != 0) die("epoll_ctl");
}

std::size_t run(const Job& job, Clock::time_point until, std::size_t count) {
  const int epoll = ::epoll_create1(0);
  std::vector<std::unique_ptr<Connection>> connections;
  for (std::size_t i = 0; i < count; ++i) {
    connections.push_back(std::make_unique<Connection>(job));
    watch(epoll, *connections.back());
  }
  std::size_t total_bytes = 0;
  while (Clock::now() < until) {
    std::array<epoll_event, 64> events;
    const int ready = ::epoll_wait(epoll, events.data(), events.size(), 1000);
    for (int i = 0; i < ready; ++i) {
      auto& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      bool reopened = false;
      total_bytes += connection.take(reopened);
      if (reopened) watch(epoll, connection);
    }
  }
  ::close(epoll);
  return total_bytes;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string_view mode = argc > 5 ? argv[5] : "";
  if (argc < 5 || argc > 7 || (argc == 6 && mode != "tls")) {
    std::fprintf(stderr, "usage: serve_stream PORT TARGET SECONDS CONNECTIONS [tls | SIZE PART]\n");
    return 64;
  }
  Job job{.port = static_cast<std::uint16_t>(std::atoi(argv[1])), .target = argv[2]};
  if (argc == 6) job.tls.reset(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (argc == 7) job.size = std::stoull(argv[5]), job.part = std::stoull(argv[6]);
  const auto started = Clock::now();
  const auto until = started + std::chrono::seconds(std::atoi(argv[3]));
  const std::size_t bytes = run(job, until, static_cast<std::size_t>(std::atoi(argv[4])));
  const std::chrono::duration<double> took = Clock::now() - started;
  const double done =
      static_cast<double>(bytes) / (job.part != 0 ? static_cast<double>(job.part) : 1e9);
  std::printf("%.3f %.3f\n", done / took.count(), done);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "serve_stream: %s\n", error.what());
  return 2;
}
