// Answers about what is not here yet but may be upstream (storage/pull_through.h). Most requests
// are answered from what has come so far; git and ollama wait for all of it, and browsers get a
// page that looks again.
#include <algorithm>
#include <array>

#include "storage/git/pkt_line.h"
#include "web/internal/answers.h"
#include "web/internal/arriving_store.h"
#include "web/internal/gate.h"
#include "web/internal/oci_form.h"
#include "web/internal/page.h"
#include "web/limits.h"
#include "web/routes.h"

namespace holdfast::web {
namespace {

Response refusal_response(const storage::PullRefusal& refusal) {
  return error_response(refusal.status, refusal.code, refusal.message);
}

// Upstream has not said yet what there is: the client waits with us.
Response not_known_yet() {
  Response response = error_response(504, "", "Upstream has not answered yet; try again");
  response.wait_max = kPullWaitMax;
  response.upstream_may_have_it = true;
  return response;
}

bool is_absent(const storage::PullRefusal& refusal) {
  return refusal.status == 404 && (refusal.code.empty() || refusal.code == "RepoNotFound");
}

// What upstream does not have either is answered as what may not be seen, byte for byte.
Response answer_without_upstream(const Call& call) {
  Services alone = call.services;
  alone.pull = nullptr;
  return handle(call.request, alone, call.match);
}

Response answer_arriving(const Call& call, std::shared_ptr<storage::ArrivingRevision> arriving) {
  const Services& services = call.services;
  const auto store = make_arriving_store(services.store, std::move(arriving), call.match.revision);
  return handle(call.request,
                {.store = *store,
                 .version = services.version,
                 .external_url = services.external_url,
                 .authority = services.authority,
                 .clock = services.clock,
                 .started = services.started,
                 .metrics = services.metrics,
                 .access = services.access},
                call.match);
}

std::string fetched_text(const Call& call) {
  return call.match.repo + " is being fetched from upstream";
}

Response fetching_page(const Call& call) {
  Html body;
  body.add("<section class=\"empty\"><h1>", fetched_text(call),
           "</h1><p>This page looks again by itself. <a href=\"", base_path(call.services),
           "/-/jobs\">Jobs</a> show how far it is.</p></section>\n");
  Response response = page_response(
      call, {.title = fetched_text(call), .section = Section::None, .status = 202}, body);
  response.set("Refresh", "2");
  response.set("Cache-Control", "no-store");
  return response;
}

Response refusal_page(const Call& call, const storage::PullRefusal& refusal) {
  return error_page(call, refusal.status, refusal.message);
}

// Of an HTTP error git shows the status alone; this it prints.
Response git_error(std::string_view text) {
  Response response;
  response.set("Content-Type", "application/x-git-upload-pack-advertisement");
  response.set("Cache-Control", "no-cache");
  response.body = storage::git::pkt("ERR " + std::string(text));
  return response;
}

Response git_waiting(const Call& call) {
  Response response = git_error(fetched_text(call) + "; try again later");
  response.wait_max = kPullWholeWaitMax;
  return response;
}

// "Not found" git says by itself.
Response git_refusal(const Call&, const storage::PullRefusal& refusal) {
  return refusal.status == 404 ? refusal_response(refusal) : git_error(refusal.message);
}

Response oci_waiting(const Call& call) {
  Response response = error_response(504, "", fetched_text(call) + "; try again later");
  response.wait_max = kPullWholeWaitMax;
  return response;
}

Response oci_refusal(const Call&, const storage::PullRefusal& refusal) {
  return refusal_response(refusal);
}

// How those are answered who cannot take a revision as it comes, by the name of the route.
struct Manner {
  std::string_view route;
  bool names_revision;  // in the URL; else it is about the default branch
  Response (*meanwhile)(const Call&);
  Response (*refused)(const Call&, const storage::PullRefusal&);
};

constexpr std::array kManners{Manner{"model-page", false, fetching_page, refusal_page},
                              Manner{"tree-page", true, fetching_page, refusal_page},
                              Manner{"blob-page", true, fetching_page, refusal_page},
                              Manner{"git-refs", false, git_waiting, git_refusal},
                              Manner{"oci-manifest", false, oci_waiting, oci_refusal}};

// Every word in a URL looks like a repository of one part: "favicon.ico", "robots.txt".
bool is_worth_asking(const Match& match) {
  return match.route->name != std::string_view("model-page") ||
         match.repo.find('/') != std::string::npos;
}

Response holding(Held held, Response response) {
  response.held = held;
  return response;
}

Response answer(const Call& call) {
  const Match& match = call.match;
  const auto* const manner = std::ranges::find(kManners, match.route->name, &Manner::route);
  const bool streams = manner == kManners.end();
  // git's URLs may end in ".git", and no other.
  const auto id = match.route->name == std::string_view("git-refs")
                      ? named_repository(call)
                      : storage::find_repo_id(match.kind, match.repo);
  if (!id) return error_response(404, "RepoNotFound", "Repository not found");
  if (!is_worth_asking(match)) return error_page(call, 404, "Repository not found");
  try {
    const bool named = streams || manner->names_revision;
    storage::Pull pull =
        call.services.pull->pull(*id, named ? std::string_view(match.revision) : "");
    if (pull.published) return holding(Held::Nothing, handle(call.request, call.services, match));
    if (pull.refusal && is_absent(*pull.refusal)) {
      return holding(Held::Nothing, answer_without_upstream(call));
    }
    if (pull.refusal) {
      return holding(Held::Nothing, streams ? refusal_response(*pull.refusal)
                                            : manner->refused(call, *pull.refusal));
    }
    if (!streams) return holding(Held::Nothing, manner->meanwhile(call));
    if (pull.arriving) return holding(Held::Part, answer_arriving(call, std::move(pull.arriving)));
    return holding(Held::Nothing, not_known_yet());
  } catch (const Error&) {
    return failure_response(call);
  }
}

}  // namespace

Response answer_by_pull(const Request& request, const Services& services,
                        const std::optional<Match>& found) {
  const auto target = split_target(request.target);
  Response response = in_oci_form(
      request.target,
      answer({.request = request,
              .services = services,
              .match = *found,
              .query = Parameters::parse(target ? target->query : std::string_view())}));
  if (response.header("X-Request-Id").empty() && !request.id.empty()) {
    response.set("X-Request-Id", std::string(request.id));
  }
  make_header_safe(response);
  response.route = found->route->name;
  return response;
}

}  // namespace holdfast::web
