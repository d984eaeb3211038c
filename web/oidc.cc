#include "web/oidc.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "storage/base/error.h"
#include "storage/base/sync.h"
#include "web/internal/log.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::Right;
using storage::Token;
using storage::User;

// A text without a line's end or other control characters; they may be logged.
bool is_plain(std::string_view text) noexcept {
  return std::ranges::none_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string text_claim(const Json& claims, std::string_view name) {
  const Json* claim = claims.find(name);
  return claim != nullptr && claim->is_string() ? claim->as_string() : std::string();
}

// Seconds since 1970 (RFC 7519, section 2: any JSON number).
std::optional<Time> time_claim(const Json& claims, std::string_view name) {
  const Json* claim = claims.find(name);
  if (claim == nullptr || !claim->is_number()) return std::nullopt;
  constexpr double kSecondsMax = 9e9;  // later times do not fit into nanoseconds
  const double seconds = claim->as_double();
  if (!std::isfinite(seconds) || seconds < 0) return std::nullopt;
  return Time(std::chrono::seconds(static_cast<std::int64_t>(std::min(seconds, kSecondsMax))));
}

bool names_audience(const Json& claims, const std::string& audience) {
  const Json* claim = claims.find("aud");
  if (claim == nullptr) return false;
  if (!claim->is_array()) return *claim == Json(audience);
  return std::ranges::find(claim->as_array(), Json(audience)) != claim->as_array().end();
}

// When a token counts.
struct Validity {
  Time from{}, until{};

  bool holds(Time now) const noexcept { return from <= now && now < until; }
};

// Nothing where "exp" is missing, or a time is none.
std::optional<Validity> validity_of(const Json& claims) {
  const auto ends = time_claim(claims, "exp");
  if (!ends) return std::nullopt;
  Validity validity{.until = *ends + kIdentityLeeway};
  for (const std::string_view name : {"nbf", "iat"}) {
    if (claims.find(name) == nullptr) continue;
    const auto begins = time_claim(claims, name);
    if (!begins) return std::nullopt;
    validity.from = std::max(validity.from, *begins - kIdentityLeeway);
  }
  return validity;
}

// "a.b" is the member "a.b", or "b" of "a".
const Json* claim_at(const Json& claims, std::string_view path) {
  if (const Json* whole = claims.find(path)) return whole;
  const Json* at = &claims;
  while (at != nullptr && !path.empty()) {
    const auto dot = std::min(path.find('.'), path.size());
    at = at->find(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return at;
}

std::set<std::string> roles_in(const Json& claims, const std::string& path) {
  std::set<std::string> roles;
  const Json* claim = path.empty() ? nullptr : claim_at(claims, path);
  if (claim == nullptr) return roles;
  if (claim->is_string()) roles.insert(claim->as_string());
  if (!claim->is_array()) return roles;
  for (const Json& value : claim->as_array()) {
    if (value.is_string() && roles.size() < kIdentityRolesMax) roles.insert(value.as_string());
  }
  return roles;
}

std::optional<User> user_of(const OidcIssuer& issuer, const Json& claims) {
  const std::string name = text_claim(claims, issuer.user_claim);
  User user;
  user.name = issuer.user_prefix + name;
  try {
    if (name.empty() || !is_plain(name)) fail(ErrorKind::Invalid, "user: expected a name");
    storage::check_access_name("user", user.name);
  } catch (const Error& error) {
    log()->warn(R"(oidc_user_refused issuer="{}" claim="{}" error="{}")", issuer.issuer,
                issuer.user_claim, error.what());
    return std::nullopt;
  }
  const auto given = roles_in(claims, issuer.roles_claim);
  for (const OidcRole& role : issuer.roles) {
    if (!given.contains(role.value)) continue;
    if (role.repo.empty()) user.role = std::max(user.role, role.right);
    if (!role.repo.empty()) user.grants.push_back({.pattern = role.repo, .right = role.right});
  }
  return user;
}

std::shared_ptr<const OidcIdentity> identity_of(const OidcIssuer& issuer, const Json& claims) {
  const std::string subject = text_claim(claims, "sub");
  if (subject.empty() || !is_plain(subject)) return nullptr;
  auto user = user_of(issuer, claims);
  if (!user) return nullptr;
  const Time issued = time_claim(claims, "iat").value_or(Time{});
  user->created_at = issued;
  OidcIdentity identity{.issuer = issuer.issuer, .subject = subject, .token = {}, .user = {}};
  // The rights are the user's; the token takes nothing away.
  identity.token = std::make_shared<const Token>(
      Token{.name = issuer.issuer,
            .user = user->name,
            .scope = Right::Admin,
            .repos = {},
            .created_at = issued,
            .expires_at = time_claim(claims, "exp"),
            .last_used_at = {},
            .secret = sha256(as_bytes("oidc\n" + issuer.issuer + "\n" + subject))});
  identity.user = std::make_shared<const User>(*std::move(user));
  return std::make_shared<const OidcIdentity>(std::move(identity));
}

void check_issuers(const std::vector<OidcIssuer>& issuers) {
  std::set<std::string> names;
  std::vector<std::string> prefixes;
  for (const OidcIssuer& issuer : issuers) {
    if (issuer.issuer.empty() || issuer.audience.empty()) {
      fail(ErrorKind::Invalid, "oidc: issuer and audience: expected a text, found nothing");
    }
    if (!names.insert(issuer.issuer).second) {
      fail(ErrorKind::Invalid, "oidc: issuer: \"" + issuer.issuer + "\" stands there twice");
    }
    // One that begins with another is no better: "gh-" and "bob" are "gh-bob" to both.
    for (const std::string& other : prefixes) {
      if (!other.starts_with(issuer.user_prefix) && !issuer.user_prefix.starts_with(other))
        continue;
      fail(ErrorKind::Invalid, "oidc: user_prefix: \"" + other + "\" and \"" + issuer.user_prefix +
                                   "\": one issuer could name the other's users");
    }
    prefixes.push_back(issuer.user_prefix);
  }
}

}  // namespace

struct OidcKeys::State {
  struct Shared {
    std::vector<KeySet> sets;
    bool asked = false;
  };

  mutable Sync<Shared> shared;
  std::atomic<std::uint64_t> generation{0};
};

OidcKeys::OidcKeys(std::size_t issuers) : state_(std::make_unique<State>()) {
  state_->shared.lock()->sets.resize(issuers);
}

OidcKeys::~OidcKeys() = default;

KeySet OidcKeys::of(std::size_t issuer) const { return state_->shared.lock()->sets.at(issuer); }

void OidcKeys::set(std::size_t issuer, KeySet keys) {
  state_->shared.lock()->sets.at(issuer) = std::move(keys);
  ++state_->generation;
}

std::uint64_t OidcKeys::generation() const noexcept { return state_->generation.load(); }

void OidcKeys::ask_again() noexcept {
  state_->shared.lock()->asked = true;
  state_->shared.notify_all();
}

template <class Ready>
bool OidcKeys::sleep(std::chrono::milliseconds time, const std::stop_token& stop, Ready ready) {
  const std::stop_callback wake(stop, [this] {
    const auto shared = state_->shared.lock();  // not between the look at `stop` and the sleep
    state_->shared.notify_all();
  });
  auto shared = state_->shared.lock();
  shared.wait_for(time, [&](State::Shared& now) { return stop.stop_requested() || ready(now); });
  return !stop.stop_requested();
}

bool OidcKeys::rest(std::chrono::milliseconds pause, const std::stop_token& stop) {
  return sleep(pause, stop, [](const State::Shared&) { return false; });
}

bool OidcKeys::wait(std::chrono::milliseconds period, const std::stop_token& stop) {
  return sleep(period, stop, [](State::Shared& now) { return std::exchange(now.asked, false); });
}

struct Oidc::State {
  State(std::vector<OidcIssuer> given, OidcKeys& from, const Clock& time)
      : issuers(std::move(given)), keys(from), clock(time) {}

  // A token that was verified before.
  struct Known {
    std::shared_ptr<const OidcIdentity> identity;
    Validity validity;
    std::uint64_t generation = 0;
  };

  std::shared_ptr<const OidcIdentity> find(const Digest& text, std::uint64_t generation) {
    auto all = known.lock();
    const auto found = all->find(text);
    if (found == all->end()) return nullptr;
    if (found->second.generation == generation && found->second.validity.holds(clock.now())) {
      return found->second.identity;
    }
    all->erase(found);
    return nullptr;
  }

  void remember(const Digest& text, Known one) {
    auto all = known.lock();
    if (all->size() >= kIdentitiesMax) all->clear();
    all->insert_or_assign(text, std::move(one));
  }

  std::vector<OidcIssuer> issuers;
  OidcKeys& keys;
  const Clock& clock;
  Sync<std::map<Digest, Known>> known;
};

Oidc::Oidc(std::vector<OidcIssuer> issuers, OidcKeys& keys, const Clock& clock) {
  check_issuers(issuers);
  state_ = std::make_unique<State>(std::move(issuers), keys, clock);
}

Oidc::~Oidc() = default;

std::shared_ptr<const OidcIdentity> Oidc::identify(std::string_view text) {
  State& state = *state_;
  if (text.size() > kJsonWebTokenMax || !resembles_json_web_token(text)) return nullptr;
  const Digest name = sha256(as_bytes(text));
  const std::uint64_t generation = state.keys.generation();
  if (auto known = state.find(name, generation)) return known;
  const auto token = parse_json_web_token(text);
  if (!token) return nullptr;
  const std::string said = text_claim(token->claims, "iss");
  const auto issuer = std::ranges::find(state.issuers, said, &OidcIssuer::issuer);
  const auto validity = validity_of(token->claims);
  if (issuer == state.issuers.end() || !names_audience(token->claims, issuer->audience) ||
      !validity || !validity->holds(state.clock.now())) {
    return nullptr;
  }
  const auto place = static_cast<std::size_t>(issuer - state.issuers.begin());
  const Signature signature = state.keys.of(place).check(*token);
  if (signature == Signature::UnknownKey) state.keys.ask_again();
  if (signature != Signature::Good) return nullptr;
  auto identity = identity_of(*issuer, token->claims);
  if (identity != nullptr) {
    state.remember(name, {.identity = identity, .validity = *validity, .generation = generation});
  }
  return identity;
}

}  // namespace holdfast::web
