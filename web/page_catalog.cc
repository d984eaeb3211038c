// "/" and "/-/jobs": the lists.
#include <algorithm>
#include <cctype>

#include "web/internal/answers.h"
#include "web/internal/gate.h"
#include "web/internal/listing.h"
#include "web/internal/page.h"
#include "web/internal/repository_facts.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::RepoKind;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

struct Found {
  std::vector<RepositoryFacts> rows;  // newest first, at most a page
  std::size_t total = 0;              // that match
  bool any = false;                   // there is something to be seen at all
};

Found find_rows(const Call& call, const std::string& search) {
  const auto& catalog = call.services.store.catalog();
  constexpr std::size_t kPage = 1000;
  std::vector<storage::RepositoryRecord> records;
  Found found;
  for (const auto kind : {RepoKind::Model, RepoKind::Dataset}) {
    storage::Catalog::ListQuery query{.kind = kind, .limit = kPage};
    while (true) {
      auto page = catalog.list_repositories(query);
      const bool last = page.size() < kPage;
      if (!last) query.after = page.back().id.full_name();
      for (auto& record : page) {
        if (!may_see(call, record.id)) continue;
        found.any = true;
        if (lower(record.id.full_name()).find(search) != std::string::npos) {
          records.push_back(std::move(record));
        }
      }
      if (last) break;
    }
  }
  found.total = records.size();
  std::ranges::stable_sort(
      records, [](const auto& a, const auto& b) { return a.updated_at > b.updated_at; });
  if (records.size() > kCatalogPageRows) records.resize(kCatalogPageRows);
  for (auto& record : records) {
    found.rows.push_back(read_facts(catalog, std::move(record), std::nullopt));
  }
  return found;
}

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

Html catalog_body(const Call& call, const std::string& search, const Found& found) {
  Html body;
  body.add(
      "<section class=\"hero\"><h1>Models and datasets on this machine</h1>"
      "<form class=\"search\" action=\"",
      base_path(call.services),
      "/\"><input type=\"search\" "
      "name=\"q\" placeholder=\"Filter by name\" aria-label=\"Filter by name\" value=\"",
      search, "\"><button>Filter</button></form></section>\n");
  if (!found.any) return body.add(first_steps());
  body.add("<p class=\"count\">", found.total,
           found.total == 1 ? std::string_view(" repository") : std::string_view(" repositories"));
  if (!search.empty()) body.add(" with “", search, "” in the name");
  if (found.rows.size() < found.total) body.add(", the newest ", found.rows.size(), " shown");
  body.add("</p>\n<ul class=\"catalog\">\n");
  for (const auto& facts : found.rows) body.add(repository_row(call, facts));
  return body.add("</ul>\n");
}

Html job_progress(const storage::Job& job) {
  const auto& progress = job.progress;
  Html html;
  if (job.state == storage::JobState::Failed) return html.add(job.error);
  if (progress.total_bytes > 0) {
    html.add("<progress max=\"", progress.total_bytes, "\" value=\"", progress.done_bytes,
             "\"></progress> ", size_text(progress.done_bytes), " of ",
             size_text(progress.total_bytes));
  } else if (progress.total_items > 0) {
    html.add("<progress max=\"", progress.total_items, "\" value=\"", progress.done_items,
             "\"></progress> ", progress.done_items, " of ", progress.total_items);
  }
  if (!progress.phase.empty()) html.add(" ", progress.phase);
  if (!progress.note.empty()) html.add(" · ", progress.note);
  return html;
}

// The repository that a job is about; keys and paths are the operator's alone.
std::string job_subject(const storage::Job& job) {
  for (const std::string_view key : {"repo", "source"}) {
    const Json* value = job.parameters.find(key);
    if (value != nullptr && value->is_string() && !value->as_string().starts_with('/')) {
      return value->as_string();
    }
  }
  return {};
}

Html job_row(const Call& call, const storage::Job& job) {
  Html row;
  row.add(R"(<tr><td class="num"><a href=")", base_path(call.services), "/-/api/v1/jobs/", job.id,
          "/log\">", job.id, "</a></td><td>", job.kind, "</td><td class=\"key\">", job_subject(job),
          "</td><td>",
          chip(storage::to_text(job.state), "state-" + std::string(storage::to_text(job.state))),
          "</td><td class=\"progress\">", job_progress(job), "</td><td class=\"when\">",
          time_html(job.updated_at), "</td></tr>\n");
  return row;
}

}  // namespace

Response catalog_page(const Call& call) {
  const std::string* q = call.query.find("q");
  const std::string search = q == nullptr ? "" : *q;
  const Found found = find_rows(call, lower(search));
  return page_response(call, {.title = "Catalog"}, catalog_body(call, search, found));
}

Response jobs_page(const Call& call) {
  const auto jobs = call.services.store.jobs().list(kJobsPage);
  Html body;
  body.add("<section class=\"hero\"><h1>Jobs</h1></section>\n");
  if (jobs.empty()) {
    body.add(
        "<section class=\"empty\"><h2>No jobs</h2><p>Work that is asked of this machine, such as "
        "mirroring or converting a model, is listed here.</p></section>\n");
  } else {
    body.add(
        "<div class=\"scroll\"><table class=\"jobs\"><thead><tr><th class=\"num\">Job</th>"
        "<th>Kind</th><th>Of</th><th>State</th><th>Progress</th><th>Changed</th></tr></thead>"
        "<tbody>\n");
    for (const auto& job : jobs) body.add(job_row(call, job));
    body.add("</tbody></table></div>\n");
  }
  return page_response(call, {.title = "Jobs", .section = Section::Jobs}, body);
}

}  // namespace holdfast::web
