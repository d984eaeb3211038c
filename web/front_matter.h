// What is wrong with a card's front matter, before it is committed. Pure.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::web {

// "" when the YAML between two "---" lines at the start can be read and is a map, or there is none;
// else what a person needs to mend it.
std::string problem_of_front_matter(std::string_view readme);

}  // namespace holdfast::web
