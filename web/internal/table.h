// A table whose columns have names. On a wide screen it is one; on a narrow one style.css makes of
// each row a block of "name: value" lines, so that no page scrolls sideways. It stays a table for
// those who hear the page. Plain value; what it is given has to outlive it.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include "web/internal/html.h"

namespace holdfast::web {

struct Column {
  std::string_view name;
  std::string_view style = {};  // class of style.css, for its cells
  bool unseen = false;          // what stands in it tells itself: the name is heard alone
};

class Table {
 public:
  explicit Table(std::span<const Column> columns) : columns_(columns) {}

  // As many cells as columns. An empty one takes no line on a narrow screen.
  void add_row(std::initializer_list<Html> cells);
  void add_row(std::span<const Html> cells);
  // Below the row before, across all columns.
  void add_note(const Html& note);

  bool empty() const noexcept { return rows_.empty(); }

  Html html() const;

 private:
  std::span<const Column> columns_;
  Html rows_;
};

}  // namespace holdfast::web
