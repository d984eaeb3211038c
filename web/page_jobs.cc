// "/-/jobs" and "/-/jobs/{id}": work that was asked of this machine, and how it goes.
#include <algorithm>
#include <array>
#include <set>

#include "web/internal/answers.h"
#include "web/internal/forms.h"
#include "web/internal/gate.h"
#include "web/internal/jobs.h"
#include "web/internal/page.h"
#include "web/internal/table.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::Job;
using storage::JobState;

constexpr std::array kStates{JobState::Queued, JobState::Running, JobState::Done, JobState::Failed,
                             JobState::Cancelled};

bool is_active(const Job& job) noexcept {
  return job.state == JobState::Queued || job.state == JobState::Running;
}

std::string job_place(storage::JobId id) { return "/-/jobs/" + std::to_string(id); }

// "done", and beside it what is not.
Html state_html(const Job& job) {
  const std::string state(storage::to_text(job.state));
  Html html = chip(state, "state-" + state);
  if (const std::string shortfall = shortfall_of(job); !shortfall.empty()) {
    html.add(" ", chip(shortfall, "warn"));
  }
  return html;
}

Html job_progress(const Job& job) {
  const auto& progress = job.progress;
  Html html;
  if (job.state == JobState::Failed) return html.add(job.error);
  if (progress.total_bytes > 0) {
    html.add(R"(<progress aria-label="Progress" max=")", progress.total_bytes, "\" value=\"",
             progress.done_bytes, "\"></progress> ", size_text(progress.done_bytes), " of ",
             size_text(progress.total_bytes));
  } else if (progress.total_items > 0) {
    html.add(R"(<progress aria-label="Progress" max=")", progress.total_items, "\" value=\"",
             progress.done_items, "\"></progress> ", progress.done_items, " of ",
             progress.total_items);
  }
  if (!progress.phase.empty()) html.add(" ", progress.phase);
  if (!progress.note.empty()) html.add(" · ", progress.note);
  return html;
}

std::string place_after(const JobFilter& filter, storage::JobId id) {
  return "/-/jobs?state=" + percent_encode(filter.state) + "&kind=" + percent_encode(filter.kind) +
         "&before=" + std::to_string(id);
}

Html option(std::string_view value, std::string_view chosen_value) {
  Html html;
  html.add("<option");
  if (value == chosen_value) html.add(" selected");
  return html.add(">", value, "</option>");
}

Html filter_form(const Call& call, const JobFilter& wanted, const std::set<std::string>& kinds) {
  Html html;
  html.add(R"(<form class="filters" action=")", base_path(call.services),
           R"(/-/jobs"><select name="state" aria-label="State"><option value="">Any )"
           "state</option>");
  for (const JobState state : kStates) html.add(option(storage::to_text(state), wanted.state));
  html.add(R"(</select><select name="kind" aria-label="Kind"><option value="">Any kind</option>)");
  for (const std::string& kind : kinds) html.add(option(kind, wanted.kind));
  return html.add("</select><button>Filter</button></form>");
}

Html job_table(const Call& call, const JobFilter& wanted, const ListedJobs& listed) {
  constexpr std::array kColumns{Column{"Job", "num"},       Column{"Kind"},
                                Column{"Of", "key"},        Column{"State"},
                                Column{"Progress", "text"}, Column{"Changed", "when"}};
  Table table(kColumns);
  for (const Job& job : listed.jobs) {
    Html number;
    number.add("<a href=\"", base_path(call.services), job_place(job.id), "\">", job.id, "</a>");
    table.add_row({number, Html().add(job.kind), Html().add(repository_of(job)), state_html(job),
                   job_progress(job), time_html(job.updated_at)});
  }
  Html html = table.html();
  if (listed.more) {
    html.add(R"(<nav class="pages" aria-label="Pages"><a href=")", base_path(call.services),
             place_after(wanted, listed.jobs.back().id), "\">Older jobs</a></nav>\n");
  }
  return html;
}

Html no_jobs(bool any) {
  Html html;
  if (any) return html.add("<section class=\"empty\"><h2>No such jobs</h2></section>\n");
  return html.add(
      "<section class=\"empty\"><h2>No jobs</h2><p>Work that is asked of this machine, such as "
      "mirroring or converting a model, is listed here.</p></section>\n");
}

// The buttons that this caller has for a job in this state.
Html actions(const Call& call, const Job& job) {
  Html html;
  if (!may_operate(call)) return html;
  const bool stopped = job.state == JobState::Failed || job.state == JobState::Cancelled;
  const std::string place = job_place(job.id);
  if (is_active(job))
    html.add(form_start(call, place + "/cancel", "actions"), "<button>Cancel</button></form>\n");
  if (stopped)
    html.add(form_start(call, place + "/retry", "actions"), "<button>Try again</button></form>\n");
  return html;
}

Html log_tail(const Call& call, const Job& job) {
  const auto lines = call.services.store.jobs().log_lines(job.id);
  Html html;
  if (lines.empty()) {
    return html.add("<p class=\"quiet\">",
                    is_active(job) ? std::string_view("No line yet.") : "No line was written.",
                    "</p>\n");
  }
  const std::size_t first = lines.size() - std::min(lines.size(), kJobLogLines);
  if (first > 0) {
    html.add("<p class=\"quiet\">The last ", std::uint64_t{kJobLogLines}, " of ",
             std::uint64_t{lines.size()}, " lines. <a href=\"", base_path(call.services),
             "/-/api/v1/jobs/", job.id, "/log\">All of them</a></p>\n");
  }
  html.add("<pre class=\"text\">");
  for (std::size_t at = first; at < lines.size(); ++at) html.add(lines[at], "\n");
  return html.add("</pre>\n");
}

Html job_facts(const Job& job) {
  Html html;
  html.add("<dl class=\"line\"><div><dt>State</dt><dd>", state_html(job), "</dd></div>");
  if (const std::string subject = repository_of(job); !subject.empty())
    html.add("<div><dt>Of</dt><dd>", subject, "</dd></div>");
  return html.add("<div><dt>Asked for</dt><dd>", time_html(job.created_at),
                  "</dd></div><div><dt>Changed</dt><dd>", time_html(job.updated_at),
                  "</dd></div></dl>\n");
}

Response back_to_job(const Call& call, const Response& changed) {
  Response response = see_other(call, job_place(call.match.id));
  response.subject = changed.subject;
  return response;
}

}  // namespace

Response jobs_page(const Call& call) {
  const JobFilter wanted = read_job_filter(call);
  const storage::JobQueue& queue = call.services.store.jobs();
  const ListedJobs listed = find_jobs(queue, wanted, kJobsPage);
  const std::set<std::string> kinds = queue.kinds();
  Html body;
  body.add("<section class=\"hero\"><h1>Jobs</h1>");
  if (!kinds.empty()) body.add(filter_form(call, wanted, kinds));
  body.add("</section>\n",
           listed.jobs.empty() ? no_jobs(!kinds.empty()) : job_table(call, wanted, listed));
  return page_response(call, {.title = "Jobs", .section = Section::Jobs}, body);
}

Response job_page(const Call& call) {
  const Job job = find_job(call);
  Html body;
  body.add("<section class=\"hero\"><h1>Job ", job.id, " <span class=\"owner\">", job.kind,
           "</span></h1></section>\n", job_facts(job));
  if (const Html progress = job_progress(job); !progress.empty()) {
    const std::string_view style = job.state == JobState::Failed ? "notice" : "progress";
    body.add("<p class=\"", style, "\">", progress, "</p>\n");
  }
  body.add(actions(call, job), "<h2>Log</h2>\n", log_tail(call, job));
  Response response = page_response(
      call, {.title = "Job " + std::to_string(job.id), .section = Section::Jobs}, body);
  if (is_active(job)) response.set("Refresh", "5");
  return response;
}

Response cancel_job_by_form(const Call& call) { return back_to_job(call, cancel_job(call)); }

Response retry_job_by_form(const Call& call) { return back_to_job(call, retry_job(call)); }

}  // namespace holdfast::web
