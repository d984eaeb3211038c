// The front matter of a model card: the YAML between the "---" lines at the top of README.md.
// Pure. A card that has none, or whose front matter is no YAML mapping, is an empty object: a card
// is prose by many hands and no reason to refuse a model.
#pragma once

#include <string_view>

#include "storage/base/json.h"

namespace holdfast::convert {

// Bytes that are no UTF-8 become U+FFFD. Scalars become strings as they stand (so the Norwegian
// "no" is a language), null stays null. Limits: 1 MiB of front matter, 100,000 values, 32 levels;
// beyond them it counts as none.
Json::Object parse_front_matter(std::string_view card);

// A document of YAML by the same rules and limits; null when it is none.
Json parse_yaml(std::string_view text);

}  // namespace holdfast::convert
