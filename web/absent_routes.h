// Paths of the public hub's API that are not served, on purpose, with what is said to who asks for
// them: the other half of the route table. docs/hub-api.md lists both. Pure, thread-safe.
#pragma once

#include <span>
#include <string_view>

namespace holdfast::web {

struct AbsentRoute {
  std::string_view pattern;  // as in routes.h; every method
  std::string_view why;      // a sentence for people
};

std::span<const AbsentRoute> absent_routes() noexcept;

// The row for a request's target; nullptr when there is none.
const AbsentRoute* find_absent_route(std::string_view target);

}  // namespace holdfast::web
