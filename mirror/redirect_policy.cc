#include "mirror/redirect_policy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

#include <arpa/inet.h>

#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

struct Range4 {
  std::uint32_t network;
  int bits;
};

// RFC 6890 and successors: everything that is not globally reachable.
constexpr Range4 kPrivate4[] = {
    {0x00000000, 8},   // this network
    {0x0a000000, 8},   // private
    {0x64400000, 10},  // carrier-grade NAT
    {0x7f000000, 8},   // loopback
    {0xa9fe0000, 16},  // link-local, cloud metadata
    {0xac100000, 12},  // private
    {0xc0000000, 24},  // IETF protocol assignments
    {0xc0a80000, 16},  // private
    {0xc6120000, 15},  // benchmarking
    {0xe0000000, 4},   // multicast
    {0xf0000000, 4},   // reserved, broadcast
};

bool is_private4(std::uint32_t address) noexcept {
  return std::ranges::any_of(kPrivate4, [address](const Range4& range) {
    return (address >> (32 - range.bits)) == (range.network >> (32 - range.bits));
  });
}

std::uint32_t read_be32(const std::uint8_t* bytes) noexcept {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return ntohl(value);
}

bool is_private6(const std::array<std::uint8_t, 16>& address) noexcept {
  const bool low96_zero =
      std::all_of(address.begin(), address.begin() + 10, [](std::uint8_t b) { return b == 0; });
  // ::ffff:a.b.c.d and ::a.b.c.d (which holds :: and ::1) mean the IPv4 address.
  if (low96_zero &&
      ((address[10] == 0xff && address[11] == 0xff) || (address[10] == 0 && address[11] == 0))) {
    return is_private4(read_be32(&address[12]));
  }
  const bool nat64 = read_be32(&address[0]) == 0x0064ff9b;
  if (nat64) return is_private4(read_be32(&address[12]));
  return (address[0] & 0xfe) == 0xfc ||                          // unique local
         (address[0] == 0xfe && (address[1] & 0xc0) == 0x80) ||  // link-local
         address[0] == 0xff;                                     // multicast
}

std::optional<AddressRange> parse_address(std::string_view address) {
  const std::string text(address);
  AddressRange out;
  in_addr four{};
  if (inet_pton(AF_INET, text.c_str(), &four) == 1) {
    out.network[10] = out.network[11] = 0xff;
    std::memcpy(&out.network[12], &four, 4);
    return out;
  }
  if (inet_pton(AF_INET6, text.c_str(), out.network.data()) == 1) return out;
  return std::nullopt;
}

bool has_bit(const std::array<std::uint8_t, 16>& address, int bit) noexcept {
  return ((address[static_cast<std::size_t>(bit) / 8] >> (7 - bit % 8)) & 1) != 0;
}

bool same_prefix(const AddressRange& range, const AddressRange& address) noexcept {
  for (int bit = 0; bit < range.bits; ++bit) {
    if (has_bit(range.network, bit) != has_bit(address.network, bit)) return false;
  }
  return true;
}

bool has_suffix(std::string_view host, std::string_view suffix) noexcept {
  if (suffix.starts_with('.')) suffix.remove_prefix(1);
  if (suffix.empty() || !host.ends_with(suffix)) return false;
  return host.size() == suffix.size() || host[host.size() - suffix.size() - 1] == '.';
}

}  // namespace

std::optional<AddressRange> parse_address_range(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string_view address = text.substr(0, slash);
  auto range = parse_address(address);
  if (!range || slash == text.size()) return range;
  const int longest = address.find(':') == address.npos ? 32 : 128;
  const std::string_view digits = text.substr(slash + 1);
  int bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (bits < 0 || bits > longest) return std::nullopt;
  range->bits = 128 - longest + bits;
  for (int bit = range->bits; bit < 128; ++bit) {
    if (has_bit(range->network, bit)) return std::nullopt;
  }
  return range;
}

bool is_within(std::string_view address, std::span<const AddressRange> ranges) {
  const auto parsed = parse_address(address);
  return parsed && std::ranges::any_of(ranges, [&](const AddressRange& range) {
           return same_prefix(range, *parsed);
         });
}

bool is_private_host(std::string_view host) {
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  const std::string text(host);
  in_addr four{};
  if (inet_pton(AF_INET, text.c_str(), &four) == 1) return is_private4(ntohl(four.s_addr));
  std::array<std::uint8_t, 16> six{};
  if (inet_pton(AF_INET6, text.c_str(), six.data()) == 1) return is_private6(six);
  // A last label that is a number ("2130706433", "0x7f.1") spells an address too, as resolvers read
  // it.
  const std::string_view last = host.substr(host.rfind('.') + 1);
  return !last.empty() &&
         (last.starts_with("0x") || last.find_first_not_of("0123456789") == last.npos);
}

void check_redirect(const RedirectPolicy& policy, const Url& from, const Url& to) {
  const auto refuse = [&](std::string_view rule) {
    fail(ErrorKind::Denied,
         without_query(from) + ": redirect to " + origin(to) + " refused: " + std::string(rule));
  };
  if (from.scheme == "https" && to.scheme == "http") refuse("it leaves https");
  if (to.host == policy.endpoint.host) return;
  const bool listed = std::ranges::any_of(
      policy.host_suffixes, [&](const std::string& suffix) { return has_suffix(to.host, suffix); });
  if (!listed) refuse("the host is neither the endpoint's own nor in redirect_hosts");
  if (is_private_host(to.host) && !policy.endpoint_is_private &&
      !is_within(to.host, policy.allow_private)) {
    refuse("a private address, while the endpoint is public and allow_private does not list it");
  }
}

}  // namespace holdfast::mirror
