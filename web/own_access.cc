// Tokens, users, and who sees which repository, under /-/api/v1 (docs/openapi.yaml). A token's text
// is in the answer that makes it and nowhere else.
#include <optional>

#include "storage/access.h"
#include "web/internal/access_requests.h"
#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/request_json.h"
#include "web/internal/tokens.h"

namespace holdfast::web {
namespace {

using storage::AccessBook;
using storage::Right;
using storage::Token;
using storage::User;

constexpr std::string_view kAsUpstream = "upstream";

Json time_json(const std::optional<Time>& time) { return time ? Json(to_text(*time)) : Json(); }

Json token_json(const Token& token, Time now) {
  Json::Array repos;
  for (const std::string& pattern : token.repos) repos.emplace_back(pattern);
  return Json::Object{{"name", token.name},
                      {"id", token.id()},
                      {"user", token.user.empty() ? Json() : Json(token.user)},
                      {"scope", storage::to_text(token.scope)},
                      {"repos", std::move(repos)},
                      {"created_at", to_text(token.created_at)},
                      {"expires_at", time_json(token.expires_at)},
                      {"expired", token.expires_at && *token.expires_at <= now},
                      {"last_used_at", time_json(token.last_used_at)}};
}

Json user_json(const User& user) {
  Json::Array grants;
  for (const storage::Grant& grant : user.grants) {
    grants.push_back(
        Json::Object{{"repo", grant.pattern}, {"right", storage::to_text(grant.right)}});
  }
  return Json::Object{{"name", user.name},
                      {"role", storage::to_text(user.role)},
                      {"grants", std::move(grants)},
                      {"created_at", to_text(user.created_at)}};
}

// A member that must be there.
std::string text_of(const Json& body, std::string_view key) {
  const Json* value = body.find(key);
  if (value == nullptr) refuse(400, "", "request body: " + std::string(key) + ": missing");
  return value->as_string("request body: " + std::string(key));
}

std::string read_name(const Json& body) { return text_of(body, "name"); }

Right right_of(std::string_view where, const std::string& text, Right least) {
  const auto right = storage::parse_right(text);
  if (!right || *right < least) {
    refuse(400, "",
           std::string(where) + ": expected " + (least == Right::None ? "none, " : "") +
               "read, write or admin, found \"" + text + "\"");
  }
  return *right;
}

Token read_token(const Call& call, const Json& body) {
  Token token{.name = text_of(body, "name"), .user = text_member(body, "user")};
  token.scope = right_of("scope", text_member(body, "scope", "read"), Right::Read);
  if (const Json* repos = body.find("repos")) {
    for (const Json& pattern : repos->as_array("repos")) {
      token.repos.push_back(pattern.as_string("repos[]"));
    }
  }
  if (const Json* days = body.find("expires_days")) {
    token.expires_at = end_after_days(call, days->as_uint("expires_days"));
  }
  return token;
}

User read_user(const Json& body, Time now) {
  User user{.name = text_of(body, "name"), .created_at = now};
  user.role = right_of("role", text_member(body, "role", "none"), Right::None);
  if (const Json* grants = body.find("grants")) {
    for (const Json& grant : grants->as_array("grants")) {
      user.grants.push_back({.pattern = text_of(grant, "repo"),
                             .right = right_of("right", text_of(grant, "right"), Right::Read)});
    }
  }
  return user;
}

struct RulesChange {
  storage::RepositoryRules rules;
  std::vector<Decision> decisions;
};

RulesChange read_change(const Json& body, const storage::RepoId& repo,
                        const storage::RepositoryRules& now) {
  RulesChange change{.rules = now, .decisions = {}};
  if (const Json* value = body.find("private")) change.rules.is_private = value->as_bool("private");
  if (const Json* value = body.find("gate")) {
    const std::string& name = value->as_string("gate");
    change.rules.gate = storage::parse_gate(name);
    if (!change.rules.gate && name != kAsUpstream) {
      refuse(400, "", "gate: expected open, auto, manual or upstream, found \"" + name + "\"");
    }
  }
  const Json* decide = body.find("decide");
  if (decide == nullptr) return change;
  for (const Json& row : decide->as_array("decide")) {
    const std::string name = text_of(row, "standing");
    const auto standing = storage::parse_standing(name);
    if (!standing)
      refuse(400, "", "standing: expected accepted or rejected, found \"" + name + "\"");
    change.decisions.push_back(
        {.repo = repo, .who = text_of(row, "who"), .standing = *standing, .unasked = true});
  }
  return change;
}

Json rules_json(const Call& call, const storage::RepositoryRecord& repository) {
  const AccessBook& book = access_book(call);
  const auto rules = book.rules(repository.id);
  Json::Array requests;
  for (const storage::AccessRequest& request : book.requests(repository.id)) {
    requests.emplace_back(Json::Object{
        {"who", request.who},
        {"standing", storage::to_text(request.standing)},
        {"asked_at", to_text(request.asked_at)},
        {"decided_at", request.decided_by.empty() ? Json() : Json(to_text(request.decided_at))},
        {"decided_by", request.decided_by.empty() ? Json() : Json(request.decided_by)}});
  }
  return Json::Object{{"kind", storage::to_text(repository.id.kind)},
                      {"id", repository.id.full_name()},
                      {"private", rules.is_private},
                      {"gate", rules.gate ? storage::to_text(*rules.gate) : kAsUpstream},
                      {"upstream_gate", repository.gated.empty() ? Json() : Json(repository.gated)},
                      {"requests", std::move(requests)}};
}

}  // namespace

Response list_tokens(const Call& call) {
  const Time now = call.services.clock->now();
  Json::Array list;
  for (const Token& token : visible_tokens(call)) list.push_back(token_json(token, now));
  return json_response(Json::Object{{"tokens", std::move(list)}});
}

Response create_token(const Call& call) {
  const Time now = call.services.clock->now();
  const auto [token, text] =
      make_token(call, read_body(call, [&](const Json& body) { return read_token(call, body); }));
  Json::Object json = token_json(token, now).as_object();
  json.set("token", text);
  Response response = json_response(std::move(json), 201);
  response.set("Cache-Control", "no-store");
  response.subject = "token " + token.name + " " + token.id();
  return response;
}

Response revoke_token(const Call& call) {
  const std::string name = read_body(call, read_name);
  end_token(call, name);
  Response response = json_response(Json::Object{{"name", name}});
  response.subject = "token " + name;
  return response;
}

Response list_users(const Call& call) {
  Json::Array list;
  for (const User& user : access_book(call).users()) list.push_back(user_json(user));
  return json_response(Json::Object{{"users", std::move(list)}});
}

Response set_user(const Call& call) {
  const Time now = call.services.clock->now();
  const User user = read_body(call, [&](const Json& body) { return read_user(body, now); });
  access_book(call).put_user(user);
  Response response = json_response(user_json(*access_book(call).find_user(user.name)));
  response.subject = "user " + user.name;
  return response;
}

Response remove_user(const Call& call) {
  const std::string name = read_body(call, read_name);
  access_book(call).remove_user(name);
  Response response = json_response(Json::Object{{"name", name}});
  response.subject = "user " + name;
  return response;
}

Response show_rules(const Call& call) {
  return json_response(rules_json(call, find_repository(call)));
}

Response set_rules(const Call& call) {
  const auto repository = find_repository(call);
  AccessBook& book = access_book(call);
  const RulesChange change = read_body(call, [&](const Json& body) {
    return read_change(body, repository.id, book.rules(repository.id));
  });
  // First, for they may be refused: then nothing has become visible.
  for (const Decision& decision : change.decisions) decide_access(call, decision);
  book.put_rules(repository.id, change.rules);
  const Json json = rules_json(call, repository);
  Response response = json_response(json);
  response.subject = std::string(change.rules.is_private ? "private" : "public") + ", gate " +
                     json.find("gate")->as_string();
  for (const Decision& decision : change.decisions) {
    response.subject +=
        ", " + decision.who + " " + std::string(storage::to_text(decision.standing));
  }
  return response;
}

}  // namespace holdfast::web
