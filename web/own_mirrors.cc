// What is mirrored and how it goes, and the hub's word that something changed (hub-protocol 7.1).
#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "storage/base/digest.h"
#include "web/internal/answers.h"
#include "web/internal/keyed_hash.h"
#include "web/internal/page.h"
#include "web/internal/request_json.h"

namespace holdfast::web {
namespace {

Json::Object mirrors_of(const Call& call) {
  if (!call.services.mirrors) return {{"mirrors", Json::Array{}}};
  return call.services.mirrors();
}

// Takes as long for a wrong secret as for the right one, whatever their lengths.
bool is_secret(std::string_view given, std::string_view secret) {
  return is_same(sha256(as_bytes(given)), sha256(as_bytes(secret)));
}

struct RepoType {
  std::string_view name;
  storage::RepoKind kind;
};

constexpr RepoType kRepoTypes[] = {{"model", storage::RepoKind::Model},
                                   {"dataset", storage::RepoKind::Dataset}};

// The repository that a payload {"repo": {"type", "name"}} is about; nothing for a kind that is not
// mirrored (spaces).
std::optional<storage::RepoId> hinted_repository(const Json& payload) {
  const Json* const type = payload.find_path({"repo", "type"});
  const Json* const name = payload.find_path({"repo", "name"});
  if (type == nullptr || !type->is_string() || name == nullptr || !name->is_string()) {
    refuse(400, "", "request body: expected repo.type and repo.name");
  }
  for (const RepoType& row : kRepoTypes) {
    if (row.name != type->as_string()) continue;
    const auto id = storage::find_repo_id(row.kind, name->as_string());
    if (!id) refuse(400, "", "request body: repo.name: no repository can have this name");
    return id;
  }
  return std::nullopt;
}

// A value of the mirrors' record as a reader wants it; a null is nothing.
std::string shown(const Json& mirror, std::string_view key) {
  const Json* const value = mirror.find(key);
  if (value == nullptr) return "";
  return value->is_string() ? value->as_string() : to_text(*value);
}

// "2026-11-22 13:45 UTC" of RFC 3339's form.
Html shown_time(const Json& mirror, std::string_view key) {
  constexpr std::size_t kDate = 10, kClock = 5;
  const std::string time = shown(mirror, key);
  Html html;
  if (time.size() <= kDate + kClock) return html;
  html.add(R"(<time datetime=")", time, R"(">)", time.substr(0, kDate), " ",
           time.substr(kDate + 1, kClock), " UTC</time>");
  return html;
}

// Why the last run was none, below its mirror.
Html error_row(const Json& mirror) {
  Html row;
  const std::string error = shown(mirror, "error");
  if (error.empty()) return row;
  const std::string failures = shown(mirror, "failures");
  row.add(R"(<tr class="why"><td colspan="6">)");
  if (failures != "" && failures != "1") row.add("Failed ", failures, " times; the last time: ");
  row.add(error, "</td></tr>\n");
  return row;
}

Html mirror_row(const Json& mirror) {
  const bool active = shown(mirror, "active") == "true";
  const std::string holes = shown(mirror, "holes");
  Html row;
  row.add(R"(<tr><td class="key">)", shown(mirror, "repo"), "</td><td>",
          active                            ? chip("running", "state-running")
          : !shown(mirror, "error").empty() ? chip("failed", "state-failed")
                                            : chip("idle"),
          R"(</td><td class="num">)");
  if (holes.empty() || holes == "0") {
    row.add(holes);
  } else {
    row.add(R"(<a href="#holes">)", holes, "</a>");
  }
  row.add(R"(</td><td class="when">)", shown_time(mirror, "tried_at"), R"(</td><td class="when">)",
          shown_time(mirror, "done_at"), R"(</td><td class="when">)", shown_time(mirror, "next_at"),
          "</td></tr>\n", error_row(mirror));
  return row;
}

Html hole_row(const Call& call, const storage::Hole& hole) {
  constexpr std::size_t kShortCommit = 10;
  Html row;
  const bool held = call.services.store.catalog().find_repository(hole.repo).has_value();
  row.add(R"(<tr><td class="key">)");
  if (held) row.add(R"(<a href=")", page_path(call.services, hole.repo), R"(">)");
  row.add(hole.repo.full_name());
  if (held) row.add("</a>");
  if (!hole.path.empty()) row.add(" ", hole.path);
  row.add(R"(</td><td class="id">)");
  if (hole.commit != GitOid{}) row.add(to_hex(hole.commit).substr(0, kShortCommit));
  row.add(R"(</td><td class="when">)", time_html(hole.since), "</td><td>", hole.reason,
          "</td></tr>\n");
  return row;
}

// What should be here and is not, the newest first; people who want them all ask for them.
Html holes_html(const Call& call) {
  constexpr std::size_t kShown = 200;
  std::vector<storage::Hole> holes = call.services.store.catalog().holes();
  Html html;
  if (holes.empty()) return html;
  std::ranges::stable_sort(holes, std::greater(), &storage::Hole::since);
  html.add(
      "<h2 id=\"holes\">Holes</h2>\n<p>What should be mirrored and is not here, and why. "
      "Each is tried again with every run.</p>\n<div class=\"scroll\"><table "
      R"(class="jobs"><thead><tr><th>Repository</th><th>Commit</th><th>Since</th>)"
      "<th>Reason</th></tr></thead><tbody>\n");
  for (const auto& hole : std::span(holes).first(std::min(kShown, holes.size()))) {
    html.add(hole_row(call, hole));
  }
  html.add("</tbody></table></div>\n");
  if (holes.size() > kShown) {
    html.add("<p>And ", std::to_string(holes.size() - kShown),
             " more: <code>holdfast sync --holes</code> lists all.</p>\n");
  }
  return html;
}

// What a job that runs already has asked upstream may be older than the hint: another one follows.
storage::JobId enqueue_hint(storage::JobQueue& jobs, const std::string& name) {
  const auto enqueue = [&](std::string_view turn) {
    return jobs.enqueue("mirror", std::string(turn) + name, {{"only", name}, {"repo", name}});
  };
  const storage::JobId id = enqueue("hint/");
  const auto job = jobs.find(id);
  return job && job->state == storage::JobState::Running ? enqueue("next-hint/") : id;
}

}  // namespace

Response list_mirrors(const Call& call) {
  Response response = json_response(mirrors_of(call));
  response.set("Cache-Control", "no-store");
  return response;
}

Response mirrors_page(const Call& call) {
  const Json::Object all = mirrors_of(call);
  Html rows;
  for (const Json& mirror : all.find("mirrors")->as_array("mirrors")) rows.add(mirror_row(mirror));
  Html body;
  body.add("<section class=\"hero\"><h1>Mirrors</h1></section>\n");
  if (rows.empty()) {
    body.add(R"(<section class="empty"><h2>No mirrors</h2><p>What the configuration lists under )"
             "<code>[[mirror]]</code> is kept up to date, and shown here.</p></section>\n");
  } else {
    body.add(
        R"(<div class="scroll"><table class="jobs"><thead><tr><th>Repositories</th><th>State</th>)"
        R"(<th class="num">Holes</th><th>Last attempt</th><th>Last complete</th><th>Next</th>)"
        "</tr></thead><tbody>\n",
        rows, "</tbody></table></div>\n");
  }
  body.add(holes_html(call));
  return page_response(call, {.title = "Mirrors", .section = Section::Mirrors}, body);
}

// The payload is believed in nothing but a name: what changed, if anything did, upstream is asked.
Response receive_webhook(const Call& call) {
  const std::string& secret = call.services.webhook_secret;
  if (secret.empty()) refuse(404, "", "No webhook secret is configured");
  if (!is_secret(call.request.header("X-Webhook-Secret"), secret)) {
    refuse(403, "", "X-Webhook-Secret: not the configured secret");
  }
  const auto repo = read_body(call, hinted_repository);
  if (!repo) return json_response(Json::Object{{"queued", false}}, 202);
  const storage::JobId id = enqueue_hint(call.services.store.jobs(), storage::to_text(*repo));
  Response response = json_response(Json::Object{{"queued", true}, {"job", id}}, 202);
  response.subject = "job " + std::to_string(id) + " " + storage::to_text(*repo);
  return response;
}

}  // namespace holdfast::web
