// Refs, commits, and the small answers that every client asks for
// (hub-protocol 1.7, 4.4, 4.5, 4.7).
#include <algorithm>

#include "storage/git/objects.h"
#include "web/absent_routes.h"
#include "web/card.h"
#include "web/internal/answers.h"
#include "web/internal/cursor.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

struct RefSpace {
  std::string_view prefix;
  std::string_view key;  // of the answer
};

constexpr RefSpace kRefSpaces[] = {
    {"refs/heads/", "branches"},
    {"refs/tags/", "tags"},
    {"refs/convert/", "converts"},
    {"refs/pr/", "pullRequests"},
};

std::string author_name(std::string_view author) {
  return std::string(author.substr(0, author.find(" <")));
}

struct CommitInfo {
  GitOid id;
  storage::git::Commit commit;
};

// The commit and its first parents as far as their objects are held.
std::vector<CommitInfo> history(const storage::Catalog& catalog, const RevisionAt& at) {
  std::vector<CommitInfo> commits;
  const auto revision = catalog.find_revision(at.id, at.commit);
  std::optional<GitOid> next = revision ? revision->git_commit : at.commit;
  while (next && commits.size() < kCommitsMax) {
    const auto object = catalog.find_git_object(*next);
    if (!object || object->type != "commit") break;
    commits.push_back(CommitInfo{*next, storage::git::parse_commit(object->bytes)});
    const auto& parents = commits.back().commit.parents;
    next = parents.empty() ? std::nullopt : std::optional(parents.front());
  }
  // Clients know the revision by the id under which it is served.
  if (!commits.empty()) commits.front().id = at.commit;
  return commits;
}

// `parents` is ours: a mirror of us sees by it where the history that we hold ends.
Json::Object commit_json(const CommitInfo& info) {
  Json::Array parents;
  for (const GitOid& parent : info.commit.parents) parents.emplace_back(to_hex(parent));
  const std::string& message = info.commit.message;
  const auto title_end = std::min(message.find('\n'), message.size());
  const auto body_start = std::min(message.find_first_not_of('\n', title_end), message.size());
  return Json::Object{
      {"id", to_hex(info.id)},
      {"title", message.substr(0, title_end)},
      {"message", message.substr(body_start)},
      {"authors", Json::Array{Json::Object{{"user", author_name(info.commit.author)}}}},
      {"date", to_text(info.commit.author_time)},
      {"parents", std::move(parents)}};
}

// What commits say as HTML, as far as an answer's share of Markdown goes: null beyond, and for a
// text that is too long by itself. Clients look for fields inside, so that `formatted` is there.
class Formatting {
 public:
  Formatting(const Call& call, const storage::RepoId& repo)
      : page_(page_path(call.services, repo)), repository_(repo.full_name()) {}

  Json formatted(const Json::Object& commit) {
    const CardLinks links = links_at(page_, commit.find("id")->as_string(), repository_);
    return Json::Object{{"title", html(commit.find("title")->as_string(), links, render_line)},
                        {"message", html(commit.find("message")->as_string(), links, render_card)}};
  }

 private:
  using Render = std::string (*)(std::string_view markdown, const CardLinks& links);

  Json html(const std::string& text, const CardLinks& links, Render render) {
    if (text.size() > std::min(kFormattedTextMax, left_)) return nullptr;
    left_ -= text.size();
    return render(text, links);
  }

  std::string page_, repository_;
  std::size_t left_ = kFormattedTextsMax;  // bytes of Markdown
};

}  // namespace

Response list_refs(const Call& call) {
  const auto repository = find_repository(call);
  Json::Object answer;
  for (const auto& space : kRefSpaces) {
    if (space.key != "pullRequests" || call.query.flag("include_prs")) {
      answer.set(std::string(space.key), Json::Array{});
    }
  }
  for (const auto& ref : call.services.store.catalog().refs(repository.id)) {
    for (const auto& space : kRefSpaces) {
      if (!ref.name.starts_with(space.prefix) || answer.find(space.key) == nullptr) continue;
      answer[space.key].array().emplace_back(
          Json::Object{{"name", ref.name.substr(space.prefix.size())},
                       {"ref", ref.name},
                       {"targetCommit", to_hex(ref.commit)}});
    }
  }
  return json_response(std::move(answer));
}

Response list_commits(const Call& call) {
  const RevisionAt at = find_revision(call);
  const auto commits = history(call.services.store.catalog(), at);
  const auto expand = call.query.all("expand");
  const bool with_html = std::ranges::find(expand, "formatted") != expand.end();
  const std::size_t limit = page_limit(call, with_html ? kCommitsPageFormatted : kCommitsPage);
  const std::size_t begin = std::min(cursor_of(call), commits.size());
  const std::size_t end = std::min(begin + limit, commits.size());
  Formatting formatting(call, at.id);
  Json::Array page;
  for (std::size_t i = begin; i < end; ++i) {
    Json::Object json = commit_json(commits[i]);
    if (with_html) json.set("formatted", formatting.formatted(json));
    page.emplace_back(std::move(json));
  }
  Response response = json_response(std::move(page));
  response.set("X-Total-Count", std::to_string(commits.size()));
  if (end < commits.size()) response.set("Link", next_link(call, "cursor", std::to_string(end)));
  return response;
}

Response agent_harnesses(const Call&) {
  return json_response(
      Json::Object{{"standardEnvVars", Json::Array{}}, {"harnesses", Json::Object{}}});
}

Response telemetry(const Call&) { return json_response(Json::Object{}); }

Response unknown_api(const Call& call) {
  const AbsentRoute* absent = find_absent_route(call.request.target);
  return error_response(404, "",
                        absent == nullptr ? "Sorry, this server does not have that endpoint"
                                          : "Not served here: " + std::string(absent->why));
}

}  // namespace holdfast::web
