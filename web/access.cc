#include "web/access.h"

#include <algorithm>
#include <array>
#include <optional>

#include <arpa/inet.h>

#include "storage/base/glob.h"
#include "web/base64.h"
#include "web/handler.h"
#include "web/internal/log.h"
#include "web/internal/rights.h"
#include "web/oidc.h"
#include "web/xet.h"

namespace holdfast::web {
namespace {

using storage::Gate;
using storage::RepoId;
using storage::Right;
using storage::Token;
using storage::User;

bool covers(const Token& token, const RepoId& repo) {
  if (token.repos.empty()) return true;
  const std::string name = repo.full_name();
  return std::ranges::any_of(token.repos,
                             [&](const std::string& pattern) { return glob_match(pattern, name); });
}

// What was given to the caller, beside what everyone has.
Right given_right(const Caller& caller, const RepoId& repo) {
  if (caller.trusted) return Right::Admin;
  if (caller.token == nullptr || !covers(*caller.token, repo)) return Right::None;
  if (caller.user == nullptr) return caller.token->scope;
  return std::min(caller.token->scope, right_of(*caller.user, repo));
}

}  // namespace

Right right_of(const User& user, const RepoId& repo) {
  if (!repo.owner.empty() && repo.owner == user.name) return Right::Admin;
  Right right = user.role;
  const std::string name = repo.full_name();
  for (const storage::Grant& grant : user.grants) {
    if (grant.right > right && glob_match(grant.pattern, name)) right = grant.right;
  }
  return right;
}

std::string Caller::who() const {
  if (trusted) return "operator";
  if (token == nullptr) return "anonymous";
  return user == nullptr ? "token:" + token->name : user->name;
}

std::optional<std::string_view> after_scheme(std::string_view text, std::string_view scheme) {
  if (text.size() <= scheme.size() || text[scheme.size()] != ' ') return std::nullopt;
  if (!same_name(text.substr(0, scheme.size()), scheme)) return std::nullopt;
  text.remove_prefix(scheme.size());
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::string token_of(std::string_view authorization) {
  if (const auto text = after_scheme(authorization, "Bearer")) return std::string(*text);
  const auto encoded = after_scheme(authorization, "Basic");
  const auto pair = encoded ? decode_base64(*encoded) : std::nullopt;
  if (!pair) return {};
  const auto colon = pair->find(':');
  return colon == std::string::npos ? std::string() : pair->substr(colon + 1);
}

std::string address_group(std::string_view address) {
  constexpr std::size_t kNetworkBytes = 8;
  std::string text(address);
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return text;
  if (text.starts_with("::ffff:") && text.find('.') != std::string::npos) return text.substr(7);
  return {reinterpret_cast<const char*>(bytes.data()), kNetworkBytes};
}

std::chrono::seconds WrongTokens::add(const std::string& from, const Digest& token, Time now) {
  const auto is_over = [now](const auto& row) {
    return row.second.since + kWrongTokensWindow <= now;
  };
  auto rows = rows_.lock();
  auto found = rows->find(from);
  if (found != rows->end() && is_over(*found)) {
    rows->erase(found);
    found = rows->end();
  }
  if (found == rows->end() && rows->size() >= kWrongTokenRowsMax) {
    std::erase_if(*rows, is_over);
    // As many addresses in one window: whoever has so many is not held up by forgetting none.
    if (rows->size() >= kWrongTokenRowsMax) rows->clear();
  }
  Row& row = rows->try_emplace(from, Row{.since = now, .tokens = {}}).first->second;
  if (row.tokens.contains(token)) return {};
  if (row.tokens.size() >= kWrongTokensMax) {
    return std::chrono::ceil<std::chrono::seconds>(row.since + kWrongTokensWindow - now);
  }
  row.tokens.insert(token);
  return {};
}

Access::Access(AccessOptions options, storage::AccessBook& book, const Clock& clock, Oidc* oidc)
    : options_(options), book_(book), clock_(clock), sessions_(options.session_key), oidc_(oidc) {}

Caller Access::identify(const Request& request) {
  Caller caller{.trusted = request.trusted};
  if (caller.trusted) return caller;
  const std::string text = token_of(request.header("Authorization"));
  // Tokens of Xet are for its own routes, which look at them.
  if (text.starts_with(kXetTokenPrefix) || text == kNobodysToken) return caller;
  if (!text.empty()) return identify(request, text);
  const std::string_view value = session_in(request.header("Cookie"), sessions_.cookie_name());
  const auto session = value.empty() ? std::nullopt : sessions_.verify(value, clock_.now());
  if (session && recognize(caller, session->token)) caller.session = value;
  return caller;
}

Caller Access::identify(const Request& request, const std::string& text) {
  Caller caller;
  const Digest secret = sha256(as_bytes(text));
  // A right one is never held up by those who share its address: nobody guesses one at any rate.
  if (recognize(caller, text) || recognize(caller, secret)) return caller;
  caller.wrong_token = true;
  caller.wait = wrong_tokens_.add(address_group(request.client), secret, clock_.now());
  return caller;
}

Caller Access::caller_with(const Digest& secret) {
  Caller caller;
  recognize(caller, secret);
  return caller;
}

bool Access::recognize(Caller& caller, std::string_view text) {
  auto identity = oidc_ == nullptr ? nullptr : oidc_->identify(text);
  if (identity == nullptr) return false;
  caller.token = identity->token;
  caller.user = identity->user;
  if (const auto known = book_.find_user(identity->user->name)) {
    User both = *identity->user;
    both.role = std::max(both.role, known->role);
    both.grants.insert(both.grants.end(), known->grants.begin(), known->grants.end());
    caller.user = std::make_shared<const User>(std::move(both));
  }
  caller.identity = std::move(identity);
  return true;
}

bool Access::recognize(Caller& caller, const Digest& secret) {
  auto token = book_.find_token(secret);
  const Time now = clock_.now();
  if (token == nullptr || (token->expires_at && *token->expires_at <= now)) return false;
  auto user = token->user.empty() ? nullptr : book_.find_user(token->user);
  if (user == nullptr && !token->user.empty()) return false;
  note_use(*token, now);
  caller.token = std::move(token);
  caller.user = std::move(user);
  return true;
}

// When a token was used last is worth no request: a catalog that takes no writes still serves.
void Access::note_use(const Token& token, Time now) noexcept {
  try {
    book_.note_use(token, now);
    use_is_lost_.store(false);
  } catch (const std::exception& error) {
    if (!use_is_lost_.exchange(true)) log()->error("token_use_lost error=\"{}\"", error.what());
  }
}

Right Access::right_on(const Caller& caller, const RepoId& repo) const {
  const Right given = given_right(caller, repo);
  if (given != Right::None) return given;
  const bool reads = options_.anonymous_read || (caller.token && covers(*caller.token, repo));
  return reads && !book_.rules(repo).is_private ? Right::Read : Right::None;
}

Right Access::right_on_server(const Caller& caller) const {
  if (caller.trusted) return Right::Admin;
  // What everybody has, nobody loses by saying who he is.
  const Right open = options_.local && shows_all() ? Right::Read : Right::None;
  if (caller.token == nullptr || !caller.token->repos.empty()) return open;
  const Right scope = caller.token->scope;
  return std::max(open, caller.user == nullptr ? scope : std::min(scope, caller.user->role));
}

bool Access::acts_on(const Caller& caller, const RepoId& repo) const {
  return caller.trusted || (caller.token != nullptr && covers(*caller.token, repo));
}

bool Access::may_browse(const Caller& caller) const {
  return options_.anonymous_read || caller.signed_in();
}

bool Access::shows_all() const { return options_.anonymous_read && !book_.any_private(); }

bool Access::asks_for_token() const {
  return !options_.anonymous_read || !book_.empty() || oidc_ != nullptr;
}

bool Access::is_unguarded() const { return options_.local && book_.empty() && oidc_ == nullptr; }

Gate Access::gate_of(const RepoId& repo, std::string_view upstream) const {
  if (const auto gate = book_.rules(repo).gate) return *gate;
  if (upstream.empty() || !options_.upstream_gates) return Gate::Open;
  return upstream == "auto" ? Gate::Auto : Gate::Manual;
}

bool Access::passes(const Caller& caller, const RepoId& repo, std::string_view upstream) const {
  if (gate_of(repo, upstream) == Gate::Open || caller.trusted) return true;
  if (!acts_on(caller, repo)) return false;
  // Those who fill a repository need not ask for it, even with a token that only reads.
  const Right held = caller.user == nullptr ? caller.token->scope : right_of(*caller.user, repo);
  if (held >= Right::Write) return true;
  const auto request = book_.find_request(repo, caller.who());
  return request && request->standing == storage::Standing::Accepted;
}

}  // namespace holdfast::web
