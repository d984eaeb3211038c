// The sample store behind access control: tokens to ask with, and a clock that stands still.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/access.h"
#include "tests/storage/scratch.h"
#include "tests/web/asking.h"
#include "web/access.h"

namespace holdfast::tests {

// A new token's text.
inline std::string add_token(storage::AccessBook& book, storage::Token token) {
  const std::string text = storage::make_token_text();
  token.secret = sha256(as_bytes(text));
  book.add_token(token);
  return text;
}

struct Guarded : Asking {
  explicit Guarded(web::AccessOptions options = {.anonymous_read = false, .local = false})
      : access(options, *sample.store->access(), clock) {
    services.access = &access;
    services.clock = &clock;
  }

  storage::AccessBook& book() { return *sample.store->access(); }

  void set_private(const std::string& repo, bool value = true) {
    book().put_rules(storage::parse_repo_id(repo), {.is_private = value});
  }

  void set_gate(const std::string& repo, storage::Gate gate) {
    book().put_rules(storage::parse_repo_id(repo), {.gate = gate});
  }

  std::string token(const std::string& name, const std::string& user = "",
                    storage::Right scope = storage::Right::Read,
                    std::vector<std::string> repos = {}) {
    return add_token(book(), {.name = name,
                              .user = user,
                              .scope = scope,
                              .repos = std::move(repos),
                              .created_at = clock.now()});
  }

  web::Response ask_as(const std::string& token, Ask what) const {
    const std::string bearer = "Bearer " + token;
    if (!token.empty()) what.headers.push_back({"Authorization", bearer});
    return ask(what);
  }

  web::Response get_as(const std::string& token, std::string_view target) const {
    return ask_as(token, {.target = target});
  }

  FakeClock clock;
  web::Access access;
};

}  // namespace holdfast::tests
