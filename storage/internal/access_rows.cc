#include "storage/internal/access_rows.h"

#include "storage/base/error.h"
#include "storage/internal/row.h"

namespace holdfast::storage {
namespace {

constexpr std::uint8_t kNoGate = 255;

// An enumerator between the first and `last`.
template <class Value>
Value read_value(RowReader& row, Value last, std::string_view name) {
  const std::uint8_t value = row.byte();
  if (value > static_cast<std::uint8_t>(last)) {
    fail(ErrorKind::Corrupt,
         std::string(name) + ": expected a known value, found " + std::to_string(value));
  }
  return static_cast<Value>(value);
}

void write_time(RowWriter& row, const std::optional<Time>& time) {
  row.byte(time ? 1 : 0);
  if (time) row.time(*time);
}

std::optional<Time> read_time(RowReader& row) {
  if (row.byte() == 0) return std::nullopt;
  return row.time();
}

void write_repo(RowWriter& row, const RepoId& repo) { row.text(to_text(repo)); }

RepoId read_repo(RowReader& row) { return parse_repo_id(row.text()); }

}  // namespace

std::string encode_token(const Token& token) {
  RowWriter row;
  row.digest(token.secret).text(token.name).text(token.user);
  row.byte(static_cast<std::uint8_t>(token.scope)).number(token.repos.size());
  for (const std::string& pattern : token.repos) row.text(pattern);
  row.time(token.created_at);
  write_time(row, token.expires_at);
  write_time(row, token.last_used_at);
  return row.take();
}

Token decode_token(std::string_view bytes) {
  RowReader row(bytes, "token row");
  Token token;
  token.secret = row.digest();
  token.name = row.text();
  token.user = row.text();
  token.scope = read_value(row, Right::Admin, "token row: scope");
  for (auto left = row.number(); left > 0; --left) token.repos.emplace_back(row.text());
  token.created_at = row.time();
  token.expires_at = read_time(row);
  token.last_used_at = read_time(row);
  return token;
}

std::string encode_user(const User& user) {
  RowWriter row;
  row.text(user.name).byte(static_cast<std::uint8_t>(user.role)).number(user.grants.size());
  for (const Grant& grant : user.grants) {
    row.text(grant.pattern).byte(static_cast<std::uint8_t>(grant.right));
  }
  row.time(user.created_at);
  return row.take();
}

User decode_user(std::string_view bytes) {
  RowReader row(bytes, "user row");
  User user;
  user.name = row.text();
  user.role = read_value(row, Right::Admin, "user row: role");
  for (auto left = row.number(); left > 0; --left) {
    Grant grant{.pattern = std::string(row.text())};
    grant.right = read_value(row, Right::Admin, "user row: right");
    user.grants.push_back(std::move(grant));
  }
  user.created_at = row.time();
  return user;
}

std::string encode_rules(const RulesRow& row) {
  RowWriter out;
  write_repo(out, row.repo);
  out.byte(row.rules.is_private ? 1 : 0);
  out.byte(row.rules.gate ? static_cast<std::uint8_t>(*row.rules.gate) : kNoGate);
  return out.take();
}

RulesRow decode_rules(std::string_view bytes) {
  RowReader row(bytes, "rules row");
  RulesRow rules{.repo = read_repo(row), .rules = {}};
  rules.rules.is_private = row.byte() != 0;
  const std::uint8_t gate = row.byte();
  if (gate == kNoGate) return rules;
  if (gate > static_cast<std::uint8_t>(Gate::Manual)) {
    fail(ErrorKind::Corrupt, "rules row: expected a gate, found " + std::to_string(gate));
  }
  rules.rules.gate = static_cast<Gate>(gate);
  return rules;
}

std::string encode_request(const AccessRequest& request) {
  RowWriter row;
  write_repo(row, request.repo);
  row.text(request.who).byte(static_cast<std::uint8_t>(request.standing));
  row.time(request.asked_at).time(request.decided_at);
  row.text(request.decided_by).text(request.answers);
  return row.take();
}

AccessRequest decode_request(std::string_view bytes) {
  RowReader row(bytes, "access request row");
  AccessRequest request{.repo = read_repo(row), .who = std::string(row.text())};
  request.standing = read_value(row, Standing::Rejected, "access request row: standing");
  request.asked_at = row.time();
  request.decided_at = row.time();
  request.decided_by = row.text();
  request.answers = row.text();
  return request;
}

}  // namespace holdfast::storage
