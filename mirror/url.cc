#include "mirror/url.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "mirror/limits.h"
#include "storage/base/error.h"

namespace holdfast::mirror {
namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view rule) {
  fail(ErrorKind::Invalid, "URL '" + std::string(text.substr(0, 200)) + "': " + std::string(rule));
}

bool is_unreserved(unsigned char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

void append_escaped(std::string& out, unsigned char c) {
  constexpr char kHex[] = "0123456789ABCDEF";
  out += '%';
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

std::string encode(std::string_view text, bool keep_slash) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_unreserved(byte) || (keep_slash && c == '/')) {
      out += c;
    } else {
      append_escaped(out, byte);
    }
  }
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::uint16_t default_port(std::string_view scheme) noexcept {
  return scheme == "https" ? 443 : 80;
}

// Makes a foreign target safe to put on a request line.
std::string clean_target(std::string_view target, std::string_view whole) {
  target = target.substr(0, target.find('#'));
  std::string out;
  if (target.empty() || target.front() != '/') out = "/";
  for (const char c : target) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) refuse(whole, "holds a control character");
    if (byte == ' ' || byte > 0x7e) {
      append_escaped(out, byte);
    } else {
      out += c;
    }
  }
  return out;
}

bool is_host(std::string_view host) noexcept {
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](char c) {
    return is_unreserved(static_cast<unsigned char>(c)) && c != '~';
  });
}

bool is_ipv6(std::string_view host) noexcept {
  return host.find(':') != host.npos && host.size() <= 45 && std::ranges::all_of(host, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
                  c == ':' || c == '.';
         });
}

void parse_authority(Url& url, std::string_view authority, std::string_view whole) {
  if (authority.find('@') != authority.npos) refuse("…", "a user name or password is refused");
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == authority.npos || !is_ipv6(authority.substr(1, close - 1))) {
      refuse(whole, "expected an IPv6 address between brackets");
    }
    url.host = to_lower(authority.substr(1, close - 1));
    port = authority.substr(close + 1);
  } else {
    const std::size_t colon = authority.find(':');
    url.host = to_lower(authority.substr(0, colon));
    if (!is_host(url.host)) refuse(whole, "expected a host name");
    port = colon == authority.npos ? std::string_view() : authority.substr(colon);
  }
  url.port = default_port(url.scheme);
  if (port.empty() || port == ":") return;
  unsigned number = 0;
  const char* const end = port.data() + port.size();
  const auto parsed = std::from_chars(port.data() + 1, end, number);
  if (port[0] != ':' || parsed.ec != std::errc() || parsed.ptr != end || number == 0 ||
      number > 65535) {
    refuse(whole, "expected a port from 1 to 65535");
  }
  url.port = static_cast<std::uint16_t>(number);
}

// RFC 3986, 5.2.4.
std::string remove_dot_segments(std::string_view path) {
  std::vector<std::string_view> kept;
  bool ends_in_slash = true;
  for (std::size_t at = 1; at <= path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, slash - at);
    ends_in_slash = segment == "." || segment == ".." || (segment.empty() && slash == path.size());
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (segment != "." && !(segment.empty() && slash == path.size())) {
      kept.push_back(segment);
    }
    at = slash + 1;
  }
  std::string out;
  for (const std::string_view segment : kept) (out += '/') += segment;
  if (ends_in_slash || out.empty()) out += '/';
  return out;
}

bool has_scheme(std::string_view reference) noexcept {
  const std::size_t colon = reference.find_first_of(":/?#");
  return colon != reference.npos && colon > 0 && reference[colon] == ':';
}

}  // namespace

Url parse_url(std::string_view text) {
  if (text.size() > kUrlBytesMax) refuse(text, "longer than 16 KiB");
  const std::size_t mark = text.find("://");
  Url url;
  url.scheme = mark == text.npos ? std::string() : to_lower(text.substr(0, mark));
  if (url.scheme != "http" && url.scheme != "https") refuse(text, "expected http:// or https://");
  const std::string_view rest = text.substr(mark + 3);
  const std::size_t slash = std::min(rest.find_first_of("/?#"), rest.size());
  parse_authority(url, rest.substr(0, slash), text);
  url.target = clean_target(rest.substr(slash), text);
  return url;
}

Url resolve(const Url& base, std::string_view reference) {
  if (reference.size() > kUrlBytesMax) refuse(reference, "longer than 16 KiB");
  if (reference.starts_with("//")) return parse_url(base.scheme + ":" + std::string(reference));
  if (has_scheme(reference)) return parse_url(reference);
  Url url = base;
  const std::string_view base_path = std::string_view(base.target).substr(0, base.target.find('?'));
  if (reference.empty() || reference.front() == '#') return url;
  if (reference.front() == '?') {
    url.target = clean_target(std::string(base_path) + std::string(reference), reference);
    return url;
  }
  std::string target(reference);
  if (reference.front() != '/') {
    target = std::string(base_path.substr(0, base_path.rfind('/') + 1)) + target;
  }
  target = clean_target(target, reference);
  const std::size_t query = std::min(target.find('?'), target.size());
  url.target =
      remove_dot_segments(std::string_view(target).substr(0, query)) + target.substr(query);
  return url;
}

std::string origin(const Url& url) {
  const bool ipv6 = url.host.find(':') != std::string::npos;
  std::string out = url.scheme + "://" + (ipv6 ? "[" + url.host + "]" : url.host);
  if (url.port != default_port(url.scheme)) out += ":" + std::to_string(url.port);
  return out;
}

std::string to_text(const Url& url) { return origin(url) + url.target; }

bool same_origin(const Url& a, const Url& b) noexcept {
  return a.scheme == b.scheme && a.host == b.host && a.port == b.port;
}

std::string without_query(const Url& url) {
  return origin(url) + url.target.substr(0, url.target.find('?'));
}

std::string encode_segment(std::string_view text) { return encode(text, false); }

std::string encode_path(std::string_view text) { return encode(text, true); }

}  // namespace holdfast::mirror
