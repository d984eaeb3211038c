// Many clients at once against a server with the sample store, for a while: each asks one thing
// after the other, checks every byte of every answer, and some hang up in the middle of one. Prints
// how many requests there were of each kind and how long they took, and the server's memory; fails
// on any wrong answer and on memory that keeps growing.
//
//   soak_client PORT SERVER_PID CLIENTS SECONDS
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "storage/base/file.h"
#include "tests/web/sample_store.h"

namespace holdfast::tests {
namespace {

using Clock = std::chrono::steady_clock;
using Random = std::minstd_rand;

constexpr std::size_t kSmallFiles = 500;  // as soak.sh has them made
constexpr std::size_t kSmallBytes = 2048;
constexpr std::size_t kHangUpBytes = 100'000;  // of a body that would be much longer

struct Ask {
  std::string text;                        // the request
  int status = 200;                        // of the answer
  std::string_view body;                   // of the answer
  std::size_t read_max = ~std::size_t{0};  // then the client hangs up
};

std::string request_text(std::string_view target, const std::string& headers = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: soak\r\n" + headers + "\r\n";
}

// What the answers must hold; made once, borrowed by every Ask.
struct Expected {
  std::string weights = pattern_bytes(kWeightsBytes);
  std::string smalls = pattern_bytes(kSmallBytes + kSmallFiles);
  std::string info, tree, missing;
};

Ask ask_info(const Expected& expected, Random&) {
  return {.text = request_text("/api/models/org/tiny"), .body = expected.info};
}

Ask ask_tree(const Expected& expected, Random&) {
  return {.text = request_text("/api/models/org/tiny/tree/main?recursive=true"),
          .body = expected.tree};
}

Ask ask_missing(const Expected& expected, Random&) {
  return {.text = request_text("/org/tiny/resolve/main/adapter_config.json"),
          .status = 404,
          .body = expected.missing};
}

Ask ask_small(const Expected& expected, Random& random) {
  const std::size_t file = random() % kSmallFiles;
  return {.text = request_text("/org/small/resolve/main/f" + std::to_string(file)),
          .body = std::string_view(expected.smalls).substr(file, kSmallBytes)};
}

Ask ask_range(const Expected& expected, Random& random) {
  const std::size_t length = 1 + random() % (std::size_t{1} << (random() % 19));
  const std::size_t first = random() % (kWeightsBytes - length);
  const std::string range = std::to_string(first) + "-" + std::to_string(first + length - 1);
  return {.text = request_text("/org/tiny/resolve/main/model.safetensors",
                               "Range: bytes=" + range + "\r\n"),
          .status = 206,
          .body = std::string_view(expected.weights).substr(first, length)};
}

Ask ask_and_hang_up(const Expected& expected, Random&) {
  return {.text = request_text("/org/tiny/resolve/main/model.safetensors"),
          .body = expected.weights,
          .read_max = kHangUpBytes};
}

struct Kind {
  const char* name;
  unsigned share;  // of a hundred
  Ask (*make)(const Expected&, Random&);
};

constexpr std::array kKinds{
    Kind{"info", 25, ask_info},      Kind{"tree", 10, ask_tree},
    Kind{"ranges", 30, ask_range},   Kind{"small files", 25, ask_small},
    Kind{"missing", 5, ask_missing}, Kind{"hang up", 5, ask_and_hang_up},
};

std::size_t choose_kind(Random& random) {
  auto left = static_cast<unsigned>(random() % 100);
  std::size_t kind = 0;
  while (left >= kKinds[kind].share) left -= kKinds[kind++].share;
  return kind;
}

struct Results {
  std::array<std::vector<float>, kKinds.size()> milliseconds;
  std::size_t errors = 0;

  void fail(const Ask& ask, const std::string& what) {
    constexpr std::size_t kShown = 10;
    if (++errors <= kShown) {
      std::fprintf(stderr, "wrong: %s: %s", what.c_str(), ask.text.c_str());
    }
  }
};

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) {
    throw std::system_error(errno, std::generic_category(), "connect");
  }
  return fd;
}

// One client: asks, checks what comes, asks again.
class Client {
 public:
  Client(std::uint16_t port, const Expected& expected, Results& results, unsigned seed)
      : port_(port), expected_(expected), results_(results), random_(seed) {}

  int fd() const noexcept { return fd_.get(); }

  void start(int epoll) {
    fd_ = UniqueFd(connect_to(port_));
    epoll_event event{.events = EPOLLIN, .data = {.ptr = this}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd_.get(), &event);
    ask();
  }

  // Takes what has come. False when the answer is complete, wrong or long enough, and the
  // connection of no more use: then start() makes a new one.
  bool take(bool last) {
    std::array<char, 65536> bytes;
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) return end(got == 0 ? "the server hung up" : "the connection broke");
    std::string_view fresh(bytes.data(), static_cast<std::size_t>(got));
    if (!in_body_) {
      head_.append(fresh);
      const auto end_of_head = head_.find("\r\n\r\n");
      if (end_of_head == std::string::npos) return true;
      if (!head_is_right()) return end("status or length: " + head_.substr(0, head_.find('\r')));
      in_body_ = true;
      fresh = std::string_view(head_).substr(end_of_head + 4);
    }
    if (ask_.body.substr(read_, fresh.size()) != fresh) return end("bytes");
    read_ += fresh.size();
    if (read_ >= ask_.read_max) return end("");
    if (read_ < ask_.body.size()) return true;
    count();
    if (last) return false;
    ask();
    return true;
  }

 private:
  void ask() {
    kind_ = choose_kind(random_);
    ask_ = kKinds[kind_].make(expected_, random_);
    head_.clear();
    in_body_ = false;
    read_ = 0;
    started_ = Clock::now();
    ::send(fd_.get(), ask_.text.data(), ask_.text.size(), MSG_NOSIGNAL);
  }

  bool head_is_right() const {
    const std::string length = "\r\nContent-Length: " + std::to_string(ask_.body.size()) + "\r\n";
    return head_.starts_with("HTTP/1.1 " + std::to_string(ask_.status) + " ") &&
           head_.find(length) != std::string::npos;
  }

  void count() {
    const std::chrono::duration<float, std::milli> took = Clock::now() - started_;
    results_.milliseconds[kind_].push_back(took.count());
  }

  bool end(const std::string& error) {
    if (error.empty()) {
      count();
    } else {
      results_.fail(ask_, error);
    }
    return false;
  }

  std::uint16_t port_;
  const Expected& expected_;
  Results& results_;
  Random random_;
  UniqueFd fd_;
  std::size_t kind_ = 0;
  Ask ask_;
  std::string head_;
  bool in_body_ = false;
  std::size_t read_ = 0;  // of the body
  Clock::time_point started_;
};

// The body of an answer that is the same each time.
std::string fetch(std::uint16_t port, std::string_view target) {
  const UniqueFd fd(connect_to(port));
  const std::string request = request_text(target, "Connection: close\r\n");
  ::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  std::array<char, 65536> bytes;
  ssize_t got = 0;
  while ((got = ::recv(fd.get(), bytes.data(), bytes.size(), 0)) > 0) {
    answer.append(bytes.data(), static_cast<std::size_t>(got));
  }
  const auto end_of_head = answer.find("\r\n\r\n");
  return end_of_head == std::string::npos ? "" : answer.substr(end_of_head + 4);
}

// Memory of a process that is no file's, in KiB.
std::size_t memory_of(const std::string& pid) {
  std::ifstream status("/proc/" + pid + "/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("RssAnon:"))
      return std::stoull(line.substr(line.find_first_of("0123456789")));
  }
  return 0;
}

struct Memory {
  std::size_t first_half = 0, second_half = 0;  // the most of each, in KiB

  bool grows() const {
    constexpr std::size_t kNoise = std::size_t{8} * 1024;
    return second_half > first_half + std::max(kNoise, first_half / 10);
  }
};

// Until all clients have their last answer, which after the end may take so long.
constexpr std::chrono::seconds kPatience{60};

Memory run(std::vector<std::unique_ptr<Client>>& clients, const std::string& pid,
           std::chrono::seconds time) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  for (const auto& client : clients) client->start(epoll);
  const auto start = Clock::now();
  const auto until = start + time;
  auto look = start;
  Memory memory;
  for (std::size_t open = clients.size(); open > 0;) {
    std::array<epoll_event, 256> events;
    const int ready = ::epoll_wait(epoll, events.data(), events.size(), 1000);
    const auto now = Clock::now();
    if (now >= until + kPatience) {
      throw std::runtime_error(std::to_string(open) + " clients wait for their last answer");
    }
    for (int i = 0; i < ready; ++i) {
      auto& client = *static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (client.take(now >= until)) continue;
      if (now < until) {
        client.start(epoll);
      } else {
        ::epoll_ctl(epoll, EPOLL_CTL_DEL, client.fd(), nullptr);
        --open;
      }
    }
    if (now < look) continue;
    look = now + std::chrono::milliseconds(250);
    auto& most = now < start + time / 2 ? memory.first_half : memory.second_half;
    most = std::max(most, memory_of(pid));
  }
  ::close(epoll);
  return memory;
}

void print_times(const char* name, std::vector<float>& times) {
  if (times.empty()) return;
  std::ranges::sort(times);
  const auto at = [&](double part) {
    return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
  };
  std::printf("%-12s %9zu requests, ms: median %.2f, p99 %.2f, most %.2f\n", name, times.size(),
              at(0.5), at(0.99), at(1.0));
}

}  // namespace
}  // namespace holdfast::tests

int main(int argc, char** argv) try {
  using namespace holdfast::tests;
  if (argc != 5) {
    std::fprintf(stderr, "usage: soak_client PORT SERVER_PID CLIENTS SECONDS\n");
    return 64;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  Expected expected;
  expected.info = fetch(port, "/api/models/org/tiny");
  expected.tree = fetch(port, "/api/models/org/tiny/tree/main?recursive=true");
  expected.missing = fetch(port, "/org/tiny/resolve/main/adapter_config.json");
  Results results;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < std::atoi(argv[3]); ++i) {
    clients.push_back(
        std::make_unique<Client>(port, expected, results, static_cast<unsigned>(i) + 1));
  }
  const Memory memory = run(clients, argv[2], std::chrono::seconds(std::atoi(argv[4])));
  std::vector<float> all;
  for (std::size_t kind = 0; kind < kKinds.size(); ++kind) {
    auto& times = results.milliseconds[kind];
    all.insert(all.end(), times.begin(), times.end());
    print_times(kKinds[kind].name, times);
  }
  print_times("all", all);
  std::printf("memory, KiB: %zu in the first half, %zu in the second\n", memory.first_half,
              memory.second_half);
  std::printf("%zu clients, %zu errors\n", clients.size(), results.errors);
  if (memory.grows()) std::fprintf(stderr, "wrong: the server's memory grows\n");
  return results.errors == 0 && !all.empty() && !memory.grows() ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "soak_client: %s\n", error.what());
  return 2;
}
