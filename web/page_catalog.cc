// "/": the repositories of this machine.
#include <algorithm>

#include "web/internal/answers.h"
#include "web/internal/catalog_rows.h"
#include "web/internal/listing.h"
#include "web/internal/page.h"
#include "web/internal/repository_facts.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::RepoKind;

std::uint64_t stored_bytes(const storage::Catalog& catalog, const RepositoryFacts& facts) {
  std::uint64_t total = 0;
  if (!facts.revision) return total;
  for (const auto& file : stored_files(catalog, facts.at())) total += file.size_bytes;
  return total;
}

Html repository_row(const Call& call, const RepositoryFacts& facts) {
  const auto& id = facts.repository.id;
  Html chips;
  if (id.kind == RepoKind::Dataset) chips.add(chip("dataset", "kind"));
  if (const Json task = facts.text("pipeline_tag"); task.is_string())
    chips.add(chip(task.as_string()));
  for (const auto& format : facts.formats()) chips.add(chip(format, "format"));
  if (const auto total = facts.parameters_total(); total > 0) {
    chips.add(chip(count_text(total) + " parameters"));
  }
  Html row;
  row.add(R"(<li><a class="row" href=")", page_path(call.services, id), R"("><span class="name">)");
  if (!id.owner.empty())
    row.add("<span class=\"owner\">", id.owner, "</span><span class=\"slash\">/</span>");
  row.add(id.name, "</span><span class=\"chips\">", chips, "</span><span class=\"licence\">",
          facts.licence(), "</span><span class=\"size\">",
          size_text(stored_bytes(call.services.store.catalog(), facts)),
          "</span><span class=\"when\">", time_html(facts.repository.updated_at),
          "</span></a></li>\n");
  return row;
}

Html first_steps() {
  Html html;
  html.add(
      "<section class=\"empty\"><h2>Nothing here yet</h2><p>Mirror a repository, and it "
      "appears on this page:</p><pre><code>holdfast sync Qwen/Qwen2.5-0.5B-Instruct</code></pre>"
      "</section>\n");
  return html;
}

struct Choice {
  std::string_view field;
  std::string_view name;  // for those who hear the page
  std::string_view any;   // while nothing is chosen
  const std::string& chosen;
  const std::vector<std::string>& values;
};

Html option(const std::string& value, bool selected) {
  Html html;
  html.add("<option");
  if (selected) html.add(" selected");
  return html.add(">", value, "</option>");
}

// Nothing where there is nothing to choose; what was chosen stays, whether it is among the values
// or not.
Html choice_html(const Choice& choice) {
  Html html;
  const auto& [field, name, any, chosen, values] = choice;
  if (values.empty() && chosen.empty()) return html;
  html.add("<select name=\"", field, "\" aria-label=\"", name, R"("><option value="">)", any,
           "</option>");
  const bool listed = std::ranges::find(values, chosen) != values.end();
  if (!listed && !chosen.empty()) html.add(option(chosen, true));
  for (const std::string& value : values) html.add(option(value, value == chosen));
  return html.add("</select>");
}

Html search_form(const Call& call, const CatalogQuery& query) {
  static const std::vector<std::string> kKinds{"models", "datasets"};
  const CatalogChoices choices = find_catalog_choices(call, query);
  Html html;
  return html.add(
      "<form action=\"", base_path(call.services),
      R"(/"><div class="search"><input type="search" name="q" placeholder="Names, tags, cards" )"
      R"(aria-label="Search" value=")",
      query.text, R"("><button>Search</button></div><div class="filters">)",
      choice_html({"kind", "Kind", "Any kind", query.kind, kKinds}),
      choice_html({"task", "Task", "Any task", query.task, choices.tasks}),
      choice_html({"library", "Library", "Any library", query.library, choices.libraries}),
      choice_html({"license", "Licence", "Any licence", query.licence, choices.licences}),
      R"(<input name="author" placeholder="Any author" aria-label="Author" maxlength="96" )"
      R"(value=")",
      query.author, "\"></div></form>");
}

Html count_html(const CatalogQuery& query, const CatalogRows& found) {
  Html html;
  html.add("<p class=\"count\">");
  if (found.more) html.add("At least ");
  html.add(found.total,
           found.total == 1 ? std::string_view(" repository") : std::string_view(" repositories"));
  if (!query.text.empty()) html.add(" with “", query.text, "”");
  return html.add("</p>\n");
}

// Of a list that has more rows than pages for them.
Html where_it_ends(const CatalogQuery& query) {
  Html html;
  return html.add("<p class=\"quiet\">Only the first ", std::uint64_t{query.rows_max},
                  " can be paged through. Narrow the search to find the others.</p>\n");
}

Html page_links(const Call& call, const CatalogQuery& query, const CatalogRows& found) {
  Html html;
  if (found.pages < 2) return html;
  const std::string base = base_path(call.services);
  html.add(R"(<nav class="pages" aria-label="Pages">)");
  if (query.page > 1)
    html.add(R"(<a rel="prev" href=")", base, catalog_place(query, query.page - 1),
             "\">Previous</a>");
  html.add("<span class=\"quiet\">Page ", std::uint64_t{query.page}, " of ",
           std::uint64_t{found.pages}, "</span>");
  if (query.page < found.pages)
    html.add(R"(<a rel="next" href=")", base, catalog_place(query, query.page + 1), "\">Next</a>");
  html.add("</nav>\n");
  if (found.more && query.page == found.pages) html.add(where_it_ends(query));
  return html;
}

Html no_rows(const Call& call, const CatalogQuery& query, const CatalogRows& found) {
  const std::string base = base_path(call.services);
  Html html;
  if (found.total == 0) {
    return html.add(R"(<section class="empty"><h2>Nothing here fits</h2><p><a href=")", base,
                    "/\">All repositories</a></p></section>\n");
  }
  html.add("<section class=\"empty\"><h2>The list ends before</h2>");
  if (found.more) html.add(where_it_ends(query));
  return html.add(R"(<p><a href=")", base, catalog_place(query, found.pages), "\">The last page, ",
                  std::uint64_t{found.pages}, "</a></p></section>\n");
}

Html list_html(const Call& call, const CatalogQuery& query, const CatalogRows& found) {
  Html html;
  html.add(count_html(query, found));
  if (found.rows.empty()) return html.add(no_rows(call, query, found));
  html.add("<ul class=\"catalog\">\n");
  for (const auto& facts : found.rows) html.add(repository_row(call, facts));
  return html.add("</ul>\n", page_links(call, query, found));
}

}  // namespace

Response catalog_page(const Call& call) { return catalog_page(call, read_catalog_query(call)); }

Response catalog_page(const Call& call, const CatalogQuery& query) {
  const CatalogRows found = find_catalog_rows(call, query);
  Html body;
  body.add("<section class=\"hero\"><h1>Models and datasets on this machine</h1>",
           search_form(call, query), "</section>\n",
           found.any ? list_html(call, query, found) : first_steps());
  return page_response(call, {.title = "Catalog"}, body);
}

}  // namespace holdfast::web
