// The cursor of lists whose rows are counted: how many of them stand on the pages before. Pure.
#pragma once

#include <charconv>
#include <cstddef>
#include <limits>
#include <system_error>

#include "web/internal/handlers.h"

namespace holdfast::web {

// The query's `cursor`; 0 where it is absent, or no number; one that is too large is behind every
// list's end.
inline std::size_t cursor_of(const Call& call) {
  const std::string* text = call.query.find("cursor");
  std::size_t rows = 0;
  if (text == nullptr) return rows;
  const auto read = std::from_chars(text->data(), text->data() + text->size(), rows);
  return read.ec == std::errc::result_out_of_range ? std::numeric_limits<std::size_t>::max() : rows;
}

}  // namespace holdfast::web
