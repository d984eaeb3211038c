// Who am I, may I, and may I please: the hub's answers about access (hub-protocol 4.7, 6.2), and
// its routes for those who decide.
#include <algorithm>
#include <set>

#include "storage/base/digest.h"
#include "web/internal/access_requests.h"
#include "web/internal/answers.h"
#include "web/internal/forms.h"
#include "web/internal/gate.h"
#include "web/internal/request_json.h"

namespace holdfast::web {
namespace {

using storage::AccessBook;
using storage::AccessRequest;
using storage::Gate;
using storage::Right;
using storage::Standing;

constexpr std::size_t kIdDigits = 24;

// The hub's word for what a token may do.
std::string_view role_of(const storage::Token& token) {
  if (!token.repos.empty()) return "fineGrained";
  return token.scope == Right::Read ? "read" : "write";
}

// Owners that a user has rights on as a whole: "org/*".
Json organisations(const Caller& caller) {
  Json::Array list;
  if (caller.user == nullptr) return list;
  std::set<std::string> seen;
  for (const storage::Grant& grant : caller.user->grants) {
    if (!grant.pattern.ends_with("/*")) continue;
    const std::string name = grant.pattern.substr(0, grant.pattern.size() - 2);
    if (name.find_first_of("*?[/") != std::string::npos || !seen.insert(name).second) continue;
    list.emplace_back(Json::Object{{"type", "org"},
                                   {"name", name},
                                   {"fullname", name},
                                   {"roleInOrg", storage::to_text(grant.right)}});
  }
  return list;
}

storage::RepositoryRecord find_gated(const Call& call) {
  const auto record = find_repository(call);
  if (call.services.access == nullptr ||
      call.services.access->gate_of(record.id, record.gated) == Gate::Open) {
    refuse(400, "", "Access to " + record.id.full_name() + " needs no request");
  }
  return record;
}

Json request_json(const AccessRequest& request) {
  Json::Object json{{"user", Json::Object{{"user", request.who}, {"fullname", request.who}}},
                    {"status", storage::to_text(request.standing)},
                    {"timestamp", to_text(request.asked_at)}};
  if (!request.answers.empty()) json.set("fields", parse_json(request.answers, "access request"));
  return json;
}

// The form's fields as JSON, whatever form they came in.
std::string answers_of(const Call& call) {
  if (call.request.body.empty()) return {};
  const bool is_json =
      call.request.header("Content-Type").find("application/json") != std::string_view::npos;
  if (is_json) {
    return read_body(
        call, [](const Json& body) { return to_text(Json(body.as_object("request body"))); });
  }
  const Parameters form = without_form_key(Parameters::parse(call.request.body));
  Json::Object fields;
  for (const auto& [name, value] : form.entries()) {
    fields.set(name, value);
  }
  return to_text(Json(std::move(fields)));
}

std::string filled_text(const Json& body, std::string_view key) {
  std::string text = text_member(body, key);
  if (text.empty()) refuse(400, "", "request body: " + std::string(key) + ": expected a text");
  return text;
}

Response decide(const Call& call, const std::string& who, Standing standing, bool unasked) {
  decide_access(
      call,
      {.repo = find_repository(call).id, .who = who, .standing = standing, .unasked = unasked});
  Response response = json_response(Json::Object{});
  response.subject = who + " " + std::string(storage::to_text(standing));
  return response;
}

}  // namespace

Response who_am_i(const Call& call) {
  const Caller& caller = caller_of(call.request);
  if (caller.token == nullptr) {
    ask_to_sign_in("", "Invalid credentials in Authorization header");
  }
  const storage::Token& token = *caller.token;
  const std::string name = caller.user == nullptr ? token.name : caller.user->name;
  Json::Object access{{"displayName", token.name},
                      {"role", role_of(token)},
                      {"createdAt", to_text(token.created_at)}};
  if (!token.repos.empty()) {
    access.set("fineGrained", Json::Object{{"global", Json::Array{}}, {"scoped", Json::Array{}}});
  }
  Response response = json_response(Json::Object{
      {"type", "user"},
      {"id", to_hex(sha256(as_bytes(caller.who()))).substr(0, kIdDigits)},
      {"name", name},
      {"fullname", name},
      {"isPro", false},
      {"orgs", organisations(caller)},
      {"auth", Json::Object{{"type", "access_token"}, {"accessToken", std::move(access)}}}});
  response.set("Cache-Control", "no-store");
  return response;
}

// The gate has decided already: whoever comes here may.
Response auth_check(const Call& call) {
  find_repository(call);
  return json_response(Json::Object{});
}

Response ask_access(const Call& call) {
  const auto repository = find_gated(call);
  const Caller& caller = caller_of(call.request);
  if (!caller.signed_in()) ask_to_sign_in("GatedRepo", "Sign in with a token to ask for access");
  // An agreement is the user's, for all of his tokens: one that is for other repositories gives
  // none.
  if (!call.services.access->acts_on(caller, repository.id)) {
    refuse(403, "GatedRepo", "This token is not for " + repository.id.full_name());
  }
  AccessBook& book = access_book(call);
  auto request = book.find_request(repository.id, caller.who());
  // Asking again changes nothing that was decided.
  if (!request || request->standing == Standing::Pending) {
    const bool opens = call.services.access->gate_of(repository.id, repository.gated) == Gate::Auto;
    const Time now = call.services.clock->now();
    request = AccessRequest{.repo = repository.id,
                            .who = caller.who(),
                            .standing = opens ? Standing::Accepted : Standing::Pending,
                            .asked_at = now,
                            .decided_at = opens ? now : Time{},
                            .decided_by = opens ? "gate" : "",
                            .answers = answers_of(call)};
    book.put_request(*request);
  }
  Response response = json_response(Json::Object{{"status", storage::to_text(request->standing)}});
  response.subject = request->who + " " + std::string(storage::to_text(request->standing));
  return response;
}

Response list_access_requests(const Call& call) {
  const auto repo = find_repository(call).id;
  const auto standing = storage::parse_standing(call.match.path);
  if (!standing) refuse(404, "", "Expected pending, accepted or rejected");
  Json::Array list;
  for (const AccessRequest& request : access_book(call).requests(repo)) {
    if (request.standing == *standing) list.push_back(request_json(request));
  }
  return json_response(std::move(list));
}

Response decide_access_request(const Call& call) {
  return read_body(call, [&](const Json& body) {
    const auto standing = storage::parse_standing(filled_text(body, "status"));
    if (!standing) refuse(400, "", "status: expected pending, accepted or rejected");
    return decide(call, filled_text(body, "user"), *standing, false);
  });
}

Response grant_access(const Call& call) {
  const auto who = read_body(call, [](const Json& body) { return filled_text(body, "user"); });
  return decide(call, who, Standing::Accepted, true);
}

}  // namespace holdfast::web
