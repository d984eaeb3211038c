// Who brings a token of an identity provider (OpenID Connect): the provider's signature, its claims
// (RFC 7519 section 4.1, RFC 9068), and what they make of the bearer here. web/ opens no connection
// of its own: whoever fetches the providers' keys leaves them in an OidcKeys.
//
// Thread-safe. Errors of the constructors: Invalid.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "storage/access.h"
#include "storage/base/clock.h"
#include "web/json_web_token.h"

namespace holdfast::web {

// A value of the roles' claim, and what it gives.
struct OidcRole {
  std::string value;
  storage::Right right = storage::Right::Read;
  std::string repo;  // a pattern of full names; "": everything, the server included
};

struct OidcIssuer {
  std::string issuer;    // "iss", to the letter
  std::string audience;  // what "aud" has to name
  // Where its keys are: one of the two, read by whoever fills the OidcKeys.
  std::filesystem::path jwks_file;
  std::string jwks_url;
  // The claim that says who it is, and what stands before that in his name here. The provider has
  // to make sure that nobody chooses somebody else's: the name carries the rights of the user of
  // that name, and those on his namespace.
  std::string user_claim = "sub";
  std::string user_prefix;
  // "groups", or a path such as "realm_access.roles"; "": none.
  std::string roles_claim;
  std::vector<OidcRole> roles;
};

// The keys of some issuers, by their place in the list: filled by one side, asked by the other.
class OidcKeys {
 public:
  explicit OidcKeys(std::size_t issuers);
  OidcKeys(const OidcKeys&) = delete;
  OidcKeys& operator=(const OidcKeys&) = delete;
  ~OidcKeys();

  KeySet of(std::size_t issuer) const;
  void set(std::size_t issuer, KeySet keys);
  // Grows with every set().
  std::uint64_t generation() const noexcept;

  // A token names a key that is not there: whoever waits reads the documents again.
  void ask_again() noexcept;
  // Sleeps for all of `pause`, whoever asks, or until `stop` is requested; whether to go on.
  bool rest(std::chrono::milliseconds pause, const std::stop_token& stop);
  // Sleeps until somebody asks, `period` is over, or `stop` is requested; whether to go on.
  bool wait(std::chrono::milliseconds period, const std::stop_token& stop);

 private:
  struct State;

  template <class Ready>
  bool sleep(std::chrono::milliseconds time, const std::stop_token& stop, Ready ready);

  std::unique_ptr<State> state_;
};

// A bearer as access.h takes him; shared by the requests with one token, and never changed.
struct OidcIdentity {
  std::string issuer, subject;
  // Stands for the token; its id is one of issuer and subject, whatever token he brings.
  std::shared_ptr<const storage::Token> token;
  std::shared_ptr<const storage::User> user;  // with the rights that his roles give
};

class Oidc {
 public:
  // `keys` and `clock` are borrowed; there are as many keys as issuers. Of several issuers
  // no user prefix may be the beginning of another's.
  Oidc(std::vector<OidcIssuer> issuers, OidcKeys& keys, const Clock& clock);
  Oidc(const Oidc&) = delete;
  Oidc& operator=(const Oidc&) = delete;
  ~Oidc();

  // The bearer of a token, nullptr for one that does not hold. Where its key is not known the keys
  // are asked for again, for the next try.
  std::shared_ptr<const OidcIdentity> identify(std::string_view text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::web
