// What a browser keeps of a sign-in: a cookie that names a token by its SHA-256, and a time, signed
// (HMAC-SHA256) under a key of the store. The server keeps nothing of it. A session ends at that
// time, with its token, and with the key; the token's own text is not in it.
//
// Requests that change something need more than the cookie, which a browser sends by itself: the
// key that stands in the forms of our pages, different for each session (internal/forms.h).
//
// Immutable after construction: thread-safe. Errors: load_session_key() throws Io or NoSpace, and
// Corrupt for a file of another form.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/base/digest.h"

namespace holdfast::web {

// 32 random bytes.
using SessionKey = Digest;

// One that is forgotten with the process.
SessionKey random_session_key();

// The store's: DATA/session.key (64 hex digits, mode 0600), made when it is not there. No backup
// has it: whoever finds one can sign no session.
SessionKey load_session_key(const std::filesystem::path& directory);

class BrowserSessions {
 public:
  explicit BrowserSessions(const SessionKey& key);

  // Different for each key: cookies know no ports, and the hubs of one host are not to take, or to
  // replace, one another's.
  const std::string& cookie_name() const noexcept { return cookie_name_; }

  struct Session {
    Digest token;  // SHA-256 of its text
    Time ends_at;
  };

  // A cookie's value.
  std::string sign(const Session& session) const;

  // The session that a value is of; nothing when we did not sign it, or it has ended.
  std::optional<Session> verify(std::string_view value, Time now) const;

  // What the forms of this session carry, 64 hex digits.
  std::string form_key(std::string_view value) const;
  bool is_form_key(std::string_view value, std::string_view given) const;

 private:
  SessionKey key_;
  std::string cookie_name_;
};

// The value of the session's cookie in a Cookie header, "" when there is none. Pure.
std::string_view session_in(std::string_view cookies, std::string_view name) noexcept;

struct SessionCookie {
  std::string name = {};
  std::string value;                // "": ends what the browser has
  std::chrono::seconds lifetime{};  // from now
  std::string path = "/";
  bool secure = false;
};

// A Set-Cookie header. No script reads it. SameSite is Lax and not Strict, so that a link in a mail
// or a chat opens the page for who is signed in; no GET of ours changes anything that is his. Pure.
std::string set_cookie(const SessionCookie& cookie);

}  // namespace holdfast::web
