// Where an upstream may send us. Pure; thread-safe.
//
// Allowed: any port of the endpoint's own host, and hosts below an allowed suffix. A private,
// loopback or link-local address only when it is listed, or the endpoint itself lives at one. Never
// from https to
// http, except that the endpoint itself is http.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mirror/url.h"

namespace holdfast::mirror {

// "10.1.0.0/16", "fd00::/8", "10.1.2.3". An IPv4 range is the same range of ::ffff:0:0/96.
struct AddressRange {
  std::array<std::uint8_t, 16> network{};
  int bits = 128;

  bool operator==(const AddressRange&) const = default;
};

// Nothing for what is neither an address nor a range, or has bits set beyond its length.
std::optional<AddressRange> parse_address_range(std::string_view text);
// False for names: theirs is decided by what they resolve to.
bool is_within(std::string_view address, std::span<const AddressRange> ranges);

struct RedirectPolicy {
  Url endpoint;
  std::vector<std::string> host_suffixes = {"huggingface.co", "hf.co"};
  bool endpoint_is_private = false;
  std::vector<AddressRange> allow_private;
};

// Throws Error(Denied) naming both addresses and the rule. For redirects and for Link targets.
void check_redirect(const RedirectPolicy& policy, const Url& from, const Url& to);

// True for an IP literal in a range that is not the public Internet (RFC 6890) and for "localhost"
// and names below it; false for other names, whose addresses are checked when connecting.
bool is_private_host(std::string_view host);

}  // namespace holdfast::mirror
