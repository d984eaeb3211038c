#include "web/browser_session.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <span>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "web/internal/keyed_hash.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kCookie = "holdfast_session_";
constexpr std::size_t kCookieDigits = 8;
constexpr std::string_view kVersion = "1";
constexpr std::size_t kHexDigits = 64;  // of a Digest
constexpr unsigned kKeyMode = 0600;

std::span<const std::byte> bytes_of(const SessionKey& key) noexcept {
  return std::as_bytes(std::span(key.bytes));
}

std::int64_t seconds_of(Time time) noexcept {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

// What is signed, and stands in front of the signature.
std::string text_of(const BrowserSessions::Session& session) {
  return std::string(kVersion) + "." + to_hex(session.token) + "." +
         std::to_string(seconds_of(session.ends_at));
}

// The uses of the key never sign one text.
std::string session_text(std::string_view text) { return "session " + std::string(text); }

std::string form_text(std::string_view value) { return "form " + std::string(value); }

std::string cookie_name_of(const SessionKey& key) {
  return std::string(kCookie) +
         to_hex(keyed_hash(bytes_of(key), "cookie name")).substr(0, kCookieDigits);
}

std::string_view cut(std::string_view& text, char at) noexcept {
  const auto end = std::min(text.find(at), text.size());
  const auto part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

std::optional<Time> parse_end(std::string_view text) noexcept {
  // Later times do not fit into nanoseconds; none of ours is that late.
  constexpr std::int64_t kEndMax = 9'000'000'000;
  std::int64_t seconds = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool whole = result.ec == std::errc() && result.ptr == text.data() + text.size();
  if (!whole || seconds < 0 || seconds > kEndMax) return std::nullopt;
  return Time(std::chrono::seconds(seconds));
}

}  // namespace

SessionKey random_session_key() {
  SessionKey key;
  fill_random(std::as_writable_bytes(std::span(key.bytes)));
  return key;
}

SessionKey load_session_key(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "session.key";
  if (!std::filesystem::exists(path)) {
    const SessionKey key = random_session_key();
    const std::string text = to_hex(key) + "\n";
    write_file_atomically(path, as_bytes(text), kKeyMode);
    return key;
  }
  const auto key = parse_digest(read_file(path, kHexDigits + 1).substr(0, kHexDigits));
  if (!key) fail(ErrorKind::Corrupt, path.string() + ": expected 64 hexadecimal digits");
  return *key;
}

BrowserSessions::BrowserSessions(const SessionKey& key)
    : key_(key), cookie_name_(cookie_name_of(key)) {}

std::string BrowserSessions::sign(const Session& session) const {
  const std::string text = text_of(session);
  return text + "." + to_hex(keyed_hash(bytes_of(key_), session_text(text)));
}

std::optional<BrowserSessions::Session> BrowserSessions::verify(std::string_view value,
                                                                Time now) const {
  const auto dot = value.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  std::string_view text = value.substr(0, dot);
  const auto signature = parse_digest(value.substr(dot + 1));
  if (!signature || !is_same(*signature, keyed_hash(bytes_of(key_), session_text(text))))
    return std::nullopt;
  if (cut(text, '.') != kVersion) return std::nullopt;
  const auto token = parse_digest(cut(text, '.'));
  const auto ends_at = parse_end(text);
  if (!token || !ends_at || *ends_at <= now) return std::nullopt;
  return Session{.token = *token, .ends_at = *ends_at};
}

std::string BrowserSessions::form_key(std::string_view value) const {
  return to_hex(keyed_hash(bytes_of(key_), form_text(value)));
}

bool BrowserSessions::is_form_key(std::string_view value, std::string_view given) const {
  const auto digest = parse_digest(given);
  return digest && is_same(*digest, keyed_hash(bytes_of(key_), form_text(value)));
}

std::string_view session_in(std::string_view cookies, std::string_view name) noexcept {
  while (!cookies.empty()) {
    std::string_view pair = cut(cookies, ';');
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (cut(pair, '=') == name) return pair;
  }
  return {};
}

std::string set_cookie(const SessionCookie& cookie) {
  const bool ends = cookie.value.empty();
  const std::string line = cookie.name + "=" + cookie.value + "; Path=" + cookie.path +
                           "; Max-Age=" + std::to_string(ends ? 0 : cookie.lifetime.count()) +
                           "; HttpOnly; SameSite=Lax";
  return cookie.secure ? line + "; Secure" : line;
}

}  // namespace holdfast::web
