#include "web/internal/caller.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cstdint>
#include <random>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace holdfast::web {

std::string next_request_id() {
  // Process-wide random start, so that ids of two runs do not meet.
  static const std::uint32_t kRun = std::random_device{}();
  static std::atomic<std::uint64_t> counter{0};
  constexpr std::string_view kDigits = "0123456789abcdef";
  constexpr std::size_t kIdDigits = 15;  // what a string holds without asking for memory
  std::uint64_t value = (static_cast<std::uint64_t>(kRun) << 32U) ^ counter.fetch_add(1);
  std::string id(kIdDigits, '0');
  for (auto at = id.rbegin(); at != id.rend(); ++at, value >>= 4U) *at = kDigits[value & 15U];
  return id;
}

bool is_request_id(std::string_view text) noexcept {
  constexpr std::size_t kBytesMax = 64;
  return !text.empty() && text.size() <= kBytesMax && std::ranges::all_of(text, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
  });
}

std::string peer_address(int socket) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  std::array<char, NI_MAXHOST> text{};
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&name), &length) != 0) return "";
  ::getnameinfo(reinterpret_cast<sockaddr*>(&name), length, text.data(), text.size(), nullptr, 0,
                NI_NUMERICHOST);
  return text.data();
}

bool is_loopback_peer(int socket) noexcept {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&name), &length) != 0) return false;
  if (name.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(name);
    return (ntohl(v4.sin_addr.s_addr) >> 24U) == IN_LOOPBACKNET;
  }
  if (name.ss_family != AF_INET6) return false;
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(name);
  constexpr std::uint8_t kMapped = 12;  // of ::ffff:127.0.0.1 the bytes before the address
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) ||
         (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && v6.sin6_addr.s6_addr[kMapped] == IN_LOOPBACKNET);
}

}  // namespace holdfast::web
