#include "web/internal/table.h"

#include <array>

#include <doctest/doctest.h>

namespace holdfast::web {
namespace {

constexpr std::array kColumns{Column{"Name", "key"}, Column{"Size"},
                              Column{"Actions", "get", true}};

bool holds(const Html& html, std::string_view part) {
  return html.text().find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("web/table: cells know the name of their column") {
  Table table(kColumns);
  CHECK(table.empty());
  table.add_row({Html().add(std::string("<a>")), Html().add(std::uint64_t{7}), Html()});
  CHECK_FALSE(table.empty());
  const Html html = table.html();
  CHECK(holds(html, R"(<th scope="col" role="columnheader" class="key">Name</th>)"));
  CHECK(holds(html, R"(<td role="cell" class="key" data-name="Name">&lt;a&gt;</td>)"));
  CHECK(holds(html, R"(<td role="cell" data-name="Size">7</td>)"));
}

TEST_CASE("web/table: a column that tells itself is named for those who hear the page") {
  Table table(kColumns);
  table.add_row({Html(), Html(), Html()});
  CHECK(holds(table.html(), R"(class="get"><span class="unseen">Actions</span></th>)"));
  CHECK(holds(table.html(), R"(<td role="cell" class="get"></td>)"));
}

TEST_CASE("web/table: a note goes across all columns") {
  Table table(kColumns);
  table.add_row({Html(), Html(), Html()});
  table.add_note(Html().add(std::string("why & how")));
  CHECK(holds(table.html(), R"(colspan="3">why &amp; how</td>)"));
}

}  // namespace holdfast::web
