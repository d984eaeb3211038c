// How long a request's body may be, row by row: most rows want a form or a short document, and
// nobody is to make a server keep more than that for them. Pure, thread-safe.
#pragma once

#include <cstddef>
#include <optional>

#include "web/routes.h"

namespace holdfast::web {

// Of rows that take lists of a known length: a thousand rows or two.
inline constexpr std::size_t kListBodyBytes = std::size_t{512} * 1024;

// Nothing for a row that wants no body, or takes it as it comes and bounds it itself.
std::optional<std::size_t> body_bytes_max(const Route& route) noexcept;

// 413 for a body above that, by the head where that says how long it is, else by what has come.
// Throws Refusal.
void check_body(const Call& call);

}  // namespace holdfast::web
