// Request targets and query strings: percent coding and splitting (RFC 3986; for forms and queries
// WHATWG URL, application/x-www-form-urlencoded). Pure functions without state.
//
// A target is split on the *encoded* text, so that "refs%2Fpr%2F1" stays one part and a decoded '/'
// never becomes a separator.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::web {

// Decodes %XX. Nothing for a broken escape, or where a NUL would come out.
std::optional<std::string> percent_decode(std::string_view text);

// Encodes everything but unreserved characters; '/' is kept when `keep_slashes`.
std::string percent_encode(std::string_view text, bool keep_slashes = false);

// Whether `text` may stand in a Host header or an absolute URL: a name or an address, and a port.
bool is_host(std::string_view text) noexcept;

// A decoded query or form in order; repeated keys are kept. A key written "x[]" is listed as "x".
class Parameters {
 public:
  // Broken escapes are kept as they stand; '+' means a space.
  static Parameters parse(std::string_view encoded);

  void add(std::string key, std::string value);
  // The first value; nullptr when absent.
  const std::string* find(std::string_view key) const noexcept;
  std::vector<std::string> all(std::string_view key) const;
  // "true", "True", "1" and an empty value ("?blobs") count as true.
  bool flag(std::string_view key) const noexcept;

  const std::vector<std::pair<std::string, std::string>>& entries() const noexcept {
    return values_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

struct Target {
  std::string_view path;                // encoded, as it came
  std::string_view query;               // encoded, without '?'
  std::vector<std::string_view> parts;  // encoded, between the slashes; a trailing slash adds none
};

// Splits an origin-form target ("/a/b?c") or an absolute one ("http://host/a"). Nothing when it has
// neither form, contains control characters or spaces, or an empty part ("//"). Views into
// `target`.
std::optional<Target> split_target(std::string_view target);

}  // namespace holdfast::web
