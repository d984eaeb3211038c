// Patterns of the route table (routes.h) for who has other tables of them. Pure.
#pragma once

#include <string_view>

namespace holdfast::web {

// Whether a request's target fits the pattern, whatever its holes would hold.
bool fits_pattern(std::string_view pattern, std::string_view target);

}  // namespace holdfast::web
