// Web addresses: parsed once, compared by origin, resolved against each other (RFC 3986).
// Pure functions; thread-safe. Only http and https; a user name or password inside is refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::mirror {

struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; an IPv6 literal without its brackets
  std::uint16_t port = 0;
  std::string target = "/";  // path and query, percent-encoded, starts with '/'

  bool operator==(const Url&) const = default;
};

// Throws Error(Invalid) naming the text and the broken rule. A fragment is dropped; spaces and
// bytes above 0x7e are percent-encoded, control characters refused.
Url parse_url(std::string_view text);

// What `reference` (a Location or Link value, absolute or relative) means on the page `base`.
// Errors as parse_url.
Url resolve(const Url& base, std::string_view reference);

std::string to_text(const Url& url);
// "https://host" or "https://host:8443": what a token belongs to.
std::string origin(const Url& url);
bool same_origin(const Url& a, const Url& b) noexcept;

// The address without its query, which may hold a signature: for logs and evidence.
std::string without_query(const Url& url);

// Percent-encodes all but unreserved characters; encode_path keeps '/'.
std::string encode_segment(std::string_view text);
std::string encode_path(std::string_view text);

}  // namespace holdfast::mirror
