// Who asks, and what he may do: tokens from Authorization, ours or an identity provider's (oidc.h),
// rights from the access book (storage/access.h), and what holds for those who bring no token. What
// a route needs of all this stands in internal/gate.cc.
//
// Thread-safe. identify() counts wrong tokens per address; nothing else here changes anything but
// the book's note of a token's last use.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "storage/access.h"
#include "storage/base/clock.h"
#include "storage/base/sync.h"
#include "storage/repo_id.h"
#include "web/browser_session.h"
#include "web/limits.h"

namespace holdfast::web {

class Oidc;
struct OidcIdentity;
struct Request;

// Who asks. Everything is shared with the book, and stays as it was when the request came.
struct Caller {
  std::shared_ptr<const storage::Token> token;        // nullptr: none that counts
  std::shared_ptr<const storage::User> user;          // whose token it is; nullptr: nobody's
  std::shared_ptr<const OidcIdentity> identity = {};  // of an identity provider; else nullptr
  std::string session = {};      // the cookie that he came with; "" for who brought a token
  bool trusted = false;          // the operator, by the Unix socket
  bool wrong_token = false;      // brought one that nobody has, or that has expired
  std::chrono::seconds wait{0};  // not zero: too many wrong ones came from his address

  bool signed_in() const noexcept { return trusted || token != nullptr; }

  // As what he asks for access, and stands in the audit trail: "operator", a user's name,
  // "token:NAME" of a token that is nobody's, or "anonymous".
  std::string who() const;
};

// The token in an Authorization header: of Bearer, or the password of Basic (git, registries); ""
// when there is none in it. Pure.
std::string token_of(std::string_view authorization);

// What a registry's client carries that has no token (oci_sign_in.cc): nobody's, and none at all.
inline constexpr std::string_view kNobodysToken = "anonymous";

// What follows an authentication scheme's name, in any case, and its spaces; nothing when the text
// begins with another. Pure.
std::optional<std::string_view> after_scheme(std::string_view authorization,
                                             std::string_view scheme);

// Addresses that count as one: an IPv4 address, or the first 64 bits of an IPv6 one, which is what
// one customer has. Pure.
std::string address_group(std::string_view address);

// How many different wrong tokens came from where. One that a user carries along for another hub is
// one, however often it comes; whoever guesses brings many. Thread-safe.
class WrongTokens {
 public:
  // Counts one. Zero when it is among the first, or known; else how long no further one is looked
  // at from there.
  std::chrono::seconds add(const std::string& from, const Digest& token, Time now);

 private:
  struct Row {
    Time since;
    std::set<Digest> tokens;
  };

  Sync<std::map<std::string, Row>> rows_;
};

struct AccessOptions {
  bool anonymous_read = true;   // who brings no token sees all that is not private
  bool local = true;            // all who reach the server are on its machine
  bool upstream_gates = false;  // what upstream gates is gated here
  SessionKey session_key = random_session_key();
};

class Access {
 public:
  // All are borrowed and outlive it; without `oidc` only our own tokens count.
  Access(AccessOptions options, storage::AccessBook& book, const Clock& clock,
         Oidc* oidc = nullptr);

  // By his token or, without one, by the session of his browser.
  Caller identify(const Request& request);
  // As what he would be known who brought this token: to sign in.
  Caller identify(const Request& request, const std::string& token);
  // As what he is known now who brought the token with this SHA-256 before; nobody when it is no
  // longer anybody's.
  Caller caller_with(const Digest& secret);

  // What the caller holds on a repository: reading what is not private counts.
  storage::Right right_on(const Caller& caller, const storage::RepoId& repo) const;
  // And on the server: on all repositories, those to come included, and on what shows them all.
  storage::Right right_on_server(const Caller& caller) const;
  // Whether he may do anything in his own name on a repository: his token is not for others alone.
  bool acts_on(const Caller& caller, const storage::RepoId& repo) const;
  // Whether there is anything to be read for him.
  bool may_browse(const Caller& caller) const;
  // Whether nothing is hidden from anybody: no list need be looked through.
  bool shows_all() const;
  // Whether somebody could sign in who has not: then he is told so.
  bool asks_for_token() const;
  // Nobody can sign in, and all who reach the server are on its machine.
  bool is_unguarded() const;

  // `upstream` is the gate that upstream reports, as in RepositoryRecord::gated.
  storage::Gate gate_of(const storage::RepoId& repo, std::string_view upstream) const;
  // Whether a caller who may see the repository may have its files.
  bool passes(const Caller& caller, const storage::RepoId& repo, std::string_view upstream) const;

  storage::AccessBook& book() const noexcept { return book_; }

  const BrowserSessions& sessions() const noexcept { return sessions_; }

 private:
  // Whether the token, or the one with this SHA-256, is somebody's: then `caller` is he.
  bool recognize(Caller& caller, std::string_view text);
  bool recognize(Caller& caller, const Digest& secret);
  void note_use(const storage::Token& token, Time now) noexcept;

  AccessOptions options_;
  storage::AccessBook& book_;
  const Clock& clock_;
  BrowserSessions sessions_;
  Oidc* oidc_;
  WrongTokens wrong_tokens_;
  std::atomic<bool> use_is_lost_{false};  // and the log says so
};

}  // namespace holdfast::web
