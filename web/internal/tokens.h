// Tokens as their holders handle them, by the API and by pages. An administrator handles all. A
// user handles his own, with a token that may write: he makes and revokes none that has more than
// that one (a larger scope, other repositories), and makes none that lasts longer. Thread-safe;
// throws a Refusal, or what the book throws.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/access.h"
#include "web/internal/handlers.h"

namespace holdfast::web {

// By name: all of them, the user's, or the one that the caller has.
std::vector<storage::Token> visible_tokens(const Call& call);

// Whether the caller may make tokens at all.
bool may_make_tokens(const Call& call);

// When a token ends that is to last so many days; 400 for none, and for too many.
Time end_after_days(const Call& call, std::uint64_t days);

struct MadeToken {
  storage::Token token;
  std::string text;  // shown this once
};

// Makes the token that is wanted: its secret and the time of its making are filled in here, and
// for a user who names none, his own name. 403 for what the caller may not give.
MadeToken make_token(const Call& call, storage::Token wanted);

// Whether the caller may end a token that he sees.
bool may_end(const Call& call, const storage::Token& token);

// 403 for one that the caller may not end, 404 for one that he does not see.
void end_token(const Call& call, std::string_view name);

}  // namespace holdfast::web
