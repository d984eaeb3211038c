// Response headers and the values in them that steer a mirror. Pure; foreign input; never throws:
// a value that breaks its grammar counts as absent.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/base/clock.h"

namespace holdfast::mirror {

// Names in lower case, values trimmed, in the order of arrival.
class Headers {
 public:
  void add(std::string_view name, std::string_view value);
  // The first value of that name (lower case); nothing when absent.
  std::optional<std::string_view> find(std::string_view name) const noexcept;

  auto begin() const noexcept { return values_.begin(); }

  auto end() const noexcept { return values_.end(); }

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

// One raw line "Name: value" of a header block; false for a status line or the empty line.
bool add_header_line(Headers& headers, std::string_view line);

// The URL of rel="next" in a Link value (RFC 8288).
std::optional<std::string> next_link(std::string_view link);

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7; the form that must be sent).
std::optional<Time> parse_http_date(std::string_view text);

// RateLimit: "api";r=0;t=55 (draft-ietf-httpapi-ratelimit-headers, as the hub sends it).
struct RateLimit {
  std::uint64_t remaining = 0;
  std::chrono::seconds reset{0};
};

std::optional<RateLimit> parse_rate_limit(std::string_view text);

// How long the other side asks us to stay away, if it does: RateLimit with nothing remaining (one
// second is added, hub-protocol 6.4), else Retry-After in seconds or as a date. A date counts from
// the answer's own Date header where there is one, so our clock need not agree.
std::optional<std::chrono::seconds> announced_wait(const Headers& headers, Time now);

// Content-Range: bytes 0-99/1234. `size_bytes` is absent for "*".
struct ContentRange {
  std::uint64_t first = 0, last = 0;
  std::optional<std::uint64_t> size_bytes;
};

std::optional<ContentRange> parse_content_range(std::string_view text);

}  // namespace holdfast::mirror
