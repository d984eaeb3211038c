#include "web/internal/tokens.h"

#include <algorithm>

#include "storage/base/digest.h"
#include "web/internal/access_requests.h"
#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::Right;
using storage::Token;

// Whose tokens these are to handle, for one who is no administrator.
bool is_own(const Caller& caller, const Token& token) {
  if (caller.token == nullptr) return false;
  if (caller.user == nullptr) return token.name == caller.token->name && token.user.empty();
  return token.user == caller.user->name;
}

void check_may_make(const Call& call) {
  if (may_make_tokens(call)) return;
  refuse_weak(call,
              "Tokens are made and revoked by administrators, and by users for themselves, with a "
              "token that may write");
}

bool covers(const Token& own, const Token& other) {
  if (other.scope > own.scope) return false;
  if (own.repos.empty()) return true;
  return !other.repos.empty() && std::ranges::all_of(other.repos, [&](const std::string& pattern) {
    return std::ranges::find(own.repos, pattern) != own.repos.end();
  });
}

void check_no_more(const Token& own, const Token& wanted) {
  if (!covers(own, wanted)) {
    refuse(403, "",
           "scope, repos: expected no larger scope than \"" +
               std::string(storage::to_text(own.scope)) +
               "\", and some of the patterns if there are any, which your own token has");
  }
  const bool later = own.expires_at && (!wanted.expires_at || *wanted.expires_at > *own.expires_at);
  if (!later) return;
  refuse(403, "",
         "expires_days: your own token ends at " + to_text(*own.expires_at) +
             ", and one that it makes not later");
}

}  // namespace

std::vector<Token> visible_tokens(const Call& call) {
  auto tokens = access_book(call).tokens();
  if (may_operate(call)) return tokens;
  const Caller& caller = caller_of(call.request);
  std::erase_if(tokens, [&](const Token& token) { return !is_own(caller, token); });
  return tokens;
}

bool may_make_tokens(const Call& call) {
  if (may_operate(call)) return true;
  const Caller& caller = caller_of(call.request);
  return caller.user != nullptr && caller.token->scope >= Right::Write;
}

Time end_after_days(const Call& call, std::uint64_t days) {
  if (days == 0 || days > kTokenDaysMax) {
    refuse(400, "", "expires_days: expected 1 to " + std::to_string(kTokenDaysMax));
  }
  return call.services.clock->now() + std::chrono::hours(24) * static_cast<std::int64_t>(days);
}

MadeToken make_token(const Call& call, Token wanted) {
  check_may_make(call);
  if (!may_operate(call)) {
    const Caller& caller = caller_of(call.request);
    if (wanted.user.empty()) wanted.user = caller.user->name;
    if (wanted.user != caller.user->name) refuse_weak(call, "user: expected your own name");
    check_no_more(*caller.token, wanted);
  }
  std::string text = storage::make_token_text();
  wanted.secret = sha256(as_bytes(text));
  wanted.created_at = call.services.clock->now();
  access_book(call).add_token(wanted);
  return {.token = std::move(wanted), .text = std::move(text)};
}

bool may_end(const Call& call, const Token& token) {
  if (may_operate(call)) return true;
  return may_make_tokens(call) && covers(*caller_of(call.request).token, token);
}

void end_token(const Call& call, std::string_view name) {
  check_may_make(call);
  const auto tokens = visible_tokens(call);
  const auto found = std::ranges::find(tokens, name, &Token::name);
  if (found == tokens.end()) {
    refuse(404, "", "token \"" + std::string(name) + "\" does not exist");
  }
  if (!may_end(call, *found))
    refuse_weak(call, "This token has more than your own: it revokes none such");
  access_book(call).remove_token(name);
}

}  // namespace holdfast::web
