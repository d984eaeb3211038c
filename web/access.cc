#include "web/access.h"

#include <algorithm>
#include <array>
#include <optional>

#include <arpa/inet.h>

#include "storage/base/glob.h"
#include "web/base64.h"
#include "web/handler.h"
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

// What a person holds, whatever token he brings.
Right right_of(const User& user, const RepoId& repo) {
  if (!repo.owner.empty() && repo.owner == user.name) return Right::Admin;
  Right right = user.role;
  const std::string name = repo.full_name();
  for (const storage::Grant& grant : user.grants) {
    if (grant.right > right && glob_match(grant.pattern, name)) right = grant.right;
  }
  return right;
}

// What was given to the caller, beside what everyone has.
Right given_right(const Caller& caller, const RepoId& repo) {
  if (caller.trusted) return Right::Admin;
  if (caller.token == nullptr || !covers(*caller.token, repo)) return Right::None;
  if (caller.user == nullptr) return caller.token->scope;
  return std::min(caller.token->scope, right_of(*caller.user, repo));
}

}  // namespace

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

std::chrono::seconds WrongTokens::wait(const std::string& from, const Digest& token, Time now) {
  auto rows = rows_.lock();
  if (rows->empty()) return {};
  const auto found = rows->find(from);
  if (found == rows->end()) return {};
  const Row& row = found->second;
  const auto left = std::chrono::ceil<std::chrono::seconds>(row.since + kWrongTokensWindow - now);
  if (left.count() <= 0) {
    rows->erase(found);
    return {};
  }
  if (row.wrong.size() < kWrongTokensMax) return {};
  return row.wrong.contains(token) || row.right.contains(token) ? std::chrono::seconds(0) : left;
}

void WrongTokens::add_wrong(const std::string& from, const Digest& token, Time now) {
  auto rows = rows_.lock();
  if (rows->size() >= kWrongTokenRowsMax && !rows->contains(from)) {
    std::erase_if(*rows,
                  [&](const auto& row) { return row.second.since + kWrongTokensWindow <= now; });
    // As many addresses in one window: whoever has so many is not held up by forgetting none.
    if (rows->size() >= kWrongTokenRowsMax) rows->clear();
  }
  Row& row = rows->try_emplace(from, Row{.since = now, .wrong = {}, .right = {}}).first->second;
  row.wrong.insert(token);
}

void WrongTokens::add_right(const std::string& from, const Digest& token) {
  auto rows = rows_.lock();
  const auto found = rows->find(from);
  if (found != rows->end() && found->second.right.size() < kWrongTokensMax) {
    found->second.right.insert(token);
  }
}

Access::Access(AccessOptions options, storage::AccessBook& book, const Clock& clock)
    : options_(options), book_(book), clock_(clock) {}

Caller Access::identify(const Request& request) {
  Caller caller{.trusted = request.trusted};
  if (caller.trusted) return caller;
  const std::string text = token_of(request.header("Authorization"));
  // Tokens of Xet are for its own routes, which look at them.
  if (text.empty() || text.starts_with(kXetTokenPrefix)) return caller;
  const Digest secret = sha256(as_bytes(text));
  const std::string from = address_group(request.client);
  const Time now = clock_.now();
  caller.wait = wrong_tokens_.wait(from, secret, now);
  if (caller.wait.count() > 0) return caller;
  auto token = book_.find_token(secret);
  const bool expired = token != nullptr && token->expires_at && *token->expires_at <= now;
  auto user = token == nullptr || token->user.empty() ? nullptr : book_.find_user(token->user);
  if (token == nullptr || expired || (user == nullptr && !token->user.empty())) {
    wrong_tokens_.add_wrong(from, secret, now);
    caller.wrong_token = true;
    return caller;
  }
  wrong_tokens_.add_right(from, secret);
  book_.note_use(*token, now);
  caller.token = std::move(token);
  caller.user = std::move(user);
  return caller;
}

Right Access::right_on(const Caller& caller, const RepoId& repo) const {
  const Right given = given_right(caller, repo);
  if (given != Right::None) return given;
  const bool reads = options_.anonymous_read || (caller.token && covers(*caller.token, repo));
  return reads && !book_.rules(repo).is_private ? Right::Read : Right::None;
}

Right Access::right_on_server(const Caller& caller) const {
  if (caller.trusted) return Right::Admin;
  if (caller.token == nullptr) {
    const bool all = options_.local && options_.anonymous_read && !book_.any_private();
    return all ? Right::Read : Right::None;
  }
  if (!caller.token->repos.empty()) return Right::None;
  if (caller.user == nullptr) return caller.token->scope;
  return std::min(caller.token->scope, caller.user->role);
}

bool Access::may_browse(const Caller& caller) const {
  return options_.anonymous_read || caller.signed_in();
}

bool Access::shows_all() const { return options_.anonymous_read && !book_.any_private(); }

bool Access::asks_for_token() const { return !options_.anonymous_read || !book_.empty(); }

bool Access::is_unguarded() const { return options_.local && book_.empty(); }

Gate Access::gate_of(const RepoId& repo, std::string_view upstream) const {
  if (const auto gate = book_.rules(repo).gate) return *gate;
  if (upstream.empty() || !options_.upstream_gates) return Gate::Open;
  return upstream == "auto" ? Gate::Auto : Gate::Manual;
}

bool Access::passes(const Caller& caller, const RepoId& repo, std::string_view upstream) const {
  if (gate_of(repo, upstream) == Gate::Open || caller.trusted) return true;
  if (caller.token == nullptr || !covers(*caller.token, repo)) return false;
  // Those who fill a repository need not ask for it, even with a token that only reads.
  const Right held = caller.user == nullptr ? caller.token->scope : right_of(*caller.user, repo);
  if (held >= Right::Write) return true;
  const auto request = book_.find_request(repo, caller.who());
  return request && request->standing == storage::Standing::Accepted;
}

}  // namespace holdfast::web
