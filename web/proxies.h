// Whose word on a client's address is believed. Behind a reverse proxy every connection is the
// proxy's; it says in X-Forwarded-For whom it speaks for. Anyone can write that header, so it
// counts only from addresses on a list, and only as far back as the chain stays on it.
//
// A plain value; const members are thread-safe. Errors: Invalid (a range that is none).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::web {

class TrustedProxies {
 public:
  // Addresses and ranges: "127.0.0.1", "10.0.0.0/8", "fd00::/8".
  explicit TrustedProxies(const std::vector<std::string>& ranges = {});

  bool empty() const noexcept { return ranges_.empty(); }

  // Whether an address is on the list.
  bool trusts(std::string_view address) const;

  // Who made the request that `peer` brought: the last address in the list that is no proxy of
  // ours. `forwarded_for` is all such headers in their order, joined by commas.
  std::string client_of(std::string_view peer, std::string_view forwarded_for) const;

 private:
  using Bytes = std::array<std::uint8_t, 16>;  // IPv4 as ::ffff:a.b.c.d

  struct Range {
    Bytes address{};
    unsigned bits = 0;
  };

  static bool parse(std::string_view text, Bytes& bytes);
  bool trusts(const Bytes& address) const noexcept;

  std::vector<Range> ranges_;
};

}  // namespace holdfast::web
