// What is mirrored and how it goes, and the hub's word that something changed (hub-protocol 7.1).
#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "storage/base/digest.h"
#include "web/internal/answers.h"
#include "web/internal/keyed_hash.h"
#include "web/internal/page.h"
#include "web/internal/request_json.h"
#include "web/internal/table.h"

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

// Why the last run was none; nothing where it was one.
Html error_html(const Json& mirror) {
  Html html;
  const std::string error = shown(mirror, "error");
  if (error.empty()) return html;
  const std::string failures = shown(mirror, "failures");
  if (failures != "" && failures != "1") html.add("Failed ", failures, " times; the last time: ");
  return html.add(error);
}

Html state_html(const Json& mirror) {
  if (shown(mirror, "active") == "true") return chip("running", "state-running");
  return shown(mirror, "error").empty() ? chip("idle") : chip("failed", "state-failed");
}

Html mirror_table(const Json::Array& mirrors) {
  constexpr std::array kColumns{Column{"Repositories", "key"},   Column{"State"},
                                Column{"Holes", "num"},          Column{"Last attempt", "when"},
                                Column{"Last complete", "when"}, Column{"Next", "when"}};
  Table table(kColumns);
  for (const Json& mirror : mirrors) {
    const std::string holes = shown(mirror, "holes");
    Html holes_link;
    if (holes.empty() || holes == "0") {
      holes_link.add(holes);
    } else {
      holes_link.add(R"(<a href="#holes">)", holes, "</a>");
    }
    table.add_row({Html().add(shown(mirror, "repo")), state_html(mirror), holes_link,
                   shown_time(mirror, "tried_at"), shown_time(mirror, "done_at"),
                   shown_time(mirror, "next_at")});
    if (const Html error = error_html(mirror); !error.empty()) table.add_note(error);
  }
  return table.html();
}

Html hole_place(const Call& call, const storage::Hole& hole) {
  Html html;
  const bool held = call.services.store.catalog().find_repository(hole.repo).has_value();
  if (held) html.add(R"(<a href=")", page_path(call.services, hole.repo), R"(">)");
  html.add(hole.repo.full_name());
  if (held) html.add("</a>");
  if (!hole.path.empty()) html.add(" ", hole.path);
  return html;
}

Html hole_table(const Call& call, std::span<const storage::Hole> holes) {
  constexpr std::size_t kShortCommit = 10;
  constexpr std::array kColumns{Column{"Repository", "key"}, Column{"Commit", "id"},
                                Column{"Since", "when"}, Column{"Reason", "text"}};
  Table table(kColumns);
  for (const storage::Hole& hole : holes) {
    Html commit;
    if (hole.commit != GitOid{}) commit.add(to_hex(hole.commit).substr(0, kShortCommit));
    table.add_row({hole_place(call, hole), commit, time_html(hole.since), Html().add(hole.reason)});
  }
  return table.html();
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
      "Each is tried again with every run.</p>\n",
      hole_table(call, std::span(holes).first(std::min(kShown, holes.size()))));
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
  const Json::Array& mirrors = all.find("mirrors")->as_array("mirrors");
  Html body;
  body.add("<section class=\"hero\"><h1>Mirrors</h1></section>\n");
  if (mirrors.empty()) {
    body.add(R"(<section class="empty"><h2>No mirrors</h2><p>What the configuration lists under )"
             "<code>[[mirror]]</code> is kept up to date, and shown here.</p></section>\n");
  } else {
    body.add(mirror_table(mirrors));
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
