#include "web/internal/table.h"

#include <cassert>
#include <cstdint>

namespace holdfast::web {

void Table::add_row(std::initializer_list<Html> cells) {
  add_row(std::span(cells.begin(), cells.size()));
}

void Table::add_row(std::span<const Html> cells) {
  assert(cells.size() == columns_.size());
  rows_.add("<tr role=\"row\">");
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Column& column = columns_[i];
    rows_.add("<td role=\"cell\"");
    if (!column.style.empty()) rows_.add(" class=\"", column.style, "\"");
    if (!column.unseen) rows_.add(" data-name=\"", column.name, "\"");
    rows_.add(">", cells[i], "</td>");
  }
  rows_.add("</tr>\n");
}

void Table::add_note(const Html& note) {
  rows_.add(R"(<tr class="why" role="row"><td role="cell" colspan=")",
            std::uint64_t{columns_.size()}, "\">", note, "</td></tr>\n");
}

// The roles say what the elements are: browsers forget it of those that are shown as blocks.
Html Table::html() const {
  Html html;
  html.add(R"(<table class="records" role="table"><thead role="rowgroup"><tr role="row">)");
  for (const Column& column : columns_) {
    html.add(R"(<th scope="col" role="columnheader")");
    if (!column.style.empty()) html.add(" class=\"", column.style, "\"");
    html.add(">");
    if (column.unseen) {
      html.add("<span class=\"unseen\">", column.name, "</span>");
    } else {
      html.add(column.name);
    }
    html.add("</th>");
  }
  return html.add("</tr></thead><tbody role=\"rowgroup\">\n", rows_, "</tbody></table>\n");
}

}  // namespace holdfast::web
