#include "web/proxies.h"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

#include "storage/base/error.h"

namespace holdfast::web {
namespace {

constexpr unsigned kMappedBits = 96;  // in front of an IPv4 address

std::string_view trim(std::string_view text) noexcept {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// The address of "1.2.3.4", "1.2.3.4:80", "::1" and "[::1]:80".
std::string_view without_port(std::string_view text) noexcept {
  if (text.starts_with('[')) return text.substr(1, std::min(text.find(']'), text.size()) - 1);
  const auto colon = text.find(':');
  return colon != text.npos && text.rfind(':') == colon ? text.substr(0, colon) : text;
}

}  // namespace

bool TrustedProxies::parse(std::string_view text, Bytes& bytes) {
  const std::string address(text);
  if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) return true;
  bytes = {};
  bytes[10] = bytes[11] = 0xff;
  return ::inet_pton(AF_INET, address.c_str(), bytes.data() + kMappedBits / 8) == 1;
}

TrustedProxies::TrustedProxies(const std::vector<std::string>& ranges) {
  for (const std::string& text : ranges) {
    const auto slash = std::min(text.find('/'), text.size());
    Range range{.bits = 128};
    bool good = parse(std::string_view(text).substr(0, slash), range.address);
    if (slash < text.size()) {
      const bool v4 = text.find(':') == text.npos;
      const char* const end = text.data() + text.size();
      const auto number = std::from_chars(text.data() + slash + 1, end, range.bits);
      good = good && number.ec == std::errc() && number.ptr == end && range.bits <= (v4 ? 32 : 128);
      if (v4) range.bits += kMappedBits;
    }
    if (!good) {
      fail(ErrorKind::Invalid,
           R"(trusted_proxies: expected an address or a range such as "10.0.0.0/8", found ")" +
               text + "\"");
    }
    ranges_.push_back(range);
  }
}

bool TrustedProxies::trusts(const Bytes& address) const noexcept {
  return std::ranges::any_of(ranges_, [&](const Range& range) {
    const std::size_t whole = range.bits / 8;
    if (!std::equal(address.begin(), address.begin() + static_cast<std::ptrdiff_t>(whole),
                    range.address.begin())) {
      return false;
    }
    const unsigned rest = range.bits % 8;
    if (rest == 0) return true;
    const auto mask = static_cast<unsigned>(0xff00U >> rest) & 0xffU;
    return ((address[whole] ^ range.address[whole]) & mask) == 0;
  });
}

bool TrustedProxies::trusts(std::string_view address) const {
  Bytes bytes{};
  return parse(address, bytes) && trusts(bytes);
}

std::string TrustedProxies::client_of(std::string_view peer, std::string_view forwarded_for) const {
  std::string client(peer);
  Bytes address{};
  while (parse(client, address) && trusts(address) && !forwarded_for.empty()) {
    const auto comma = forwarded_for.rfind(',');
    const auto last = comma == forwarded_for.npos ? forwarded_for : forwarded_for.substr(comma + 1);
    forwarded_for = forwarded_for.substr(0, comma == forwarded_for.npos ? 0 : comma);
    const std::string_view next = without_port(trim(last));
    // What is no address leads no further: the proxy that wrote it is the client.
    if (!parse(next, address)) break;
    client = next;
  }
  return client;
}

}  // namespace holdfast::web
