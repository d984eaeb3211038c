#include "web/internal/access_requests.h"

#include <algorithm>

#include "web/internal/answers.h"
#include "web/internal/gate.h"

namespace holdfast::web {
namespace {

bool is_known(const storage::AccessBook& book, std::string_view who) {
  constexpr std::string_view kToken = "token:";
  if (!who.starts_with(kToken)) return book.find_user(who) != nullptr;
  const auto tokens = book.tokens();
  return std::ranges::any_of(tokens, [&](const storage::Token& token) {
    return token.user.empty() && token.name == who.substr(kToken.size());
  });
}

}  // namespace

storage::AccessBook& access_book(const Call& call) {
  storage::AccessBook* book = call.services.store.access();
  if (book == nullptr) refuse(501, "", "No access book is kept here");
  return *book;
}

void decide_access(const Call& call, const Decision& decision) {
  storage::AccessBook& book = access_book(call);
  auto request = book.find_request(decision.repo, decision.who);
  if (!request && !decision.unasked) refuse(404, "", decision.who + " has not asked for access");
  const Time now = call.services.clock->now();
  if (!request) {
    if (!is_known(book, decision.who)) refuse(404, "", "There is no user " + decision.who);
    request = storage::AccessRequest{.repo = decision.repo, .who = decision.who, .asked_at = now};
  }
  request->standing = decision.standing;
  request->decided_at = now;
  request->decided_by = call.request.trusted ? "operator" : caller_of(call.request).who();
  book.put_request(*request);
}

}  // namespace holdfast::web
