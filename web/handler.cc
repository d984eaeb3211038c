#include "web/handler.h"

#include <algorithm>

#include "web/internal/answers.h"
#include "web/internal/body_limits.h"
#include "web/internal/error_text.h"
#include "web/internal/gate.h"
#include "web/internal/log.h"
#include "web/internal/lower.h"
#include "web/internal/oci_form.h"
#include "web/internal/page.h"
#include "web/limits.h"
#include "web/routes.h"

namespace holdfast::web {
namespace {

std::string_view find_line(std::string_view lines, std::string_view name) noexcept {
  while (!lines.empty()) {
    const auto end = std::min(lines.find("\r\n"), lines.size());
    const auto line = lines.substr(0, end);
    const auto colon = std::min(line.find(": "), line.size());
    if (same_name(line.substr(0, colon), name)) return line.substr(std::min(colon + 2, end));
    lines.remove_prefix(std::min(end + 2, lines.size()));
  }
  return {};
}

Response preflight() {
  Response response;
  response.status = 204;
  response.set("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS");
  response.set("Access-Control-Allow-Headers", "Authorization, Content-Type, Range, User-Agent");
  response.set("Access-Control-Max-Age", "86400");
  return response;
}

Response wrong_method(const Match& match) {
  Response response = error_response(405, "", "Method not allowed");
  response.set("Allow", match.allow);
  return response;
}

bool wants_page(const Request& request) noexcept {
  return request.header("Accept").find("text/html") != std::string_view::npos;
}

// A browser that walked into an error gets a page; programs get the JSON that they understand.
Response dress_error(const Call& call, Response response) {
  if (response.needs_pool) return response;
  const bool hub_answer = response.header("X-Repo-Commit").empty() == false ||
                          std::string_view(call.request.target).starts_with("/api/") ||
                          std::string_view(call.request.target).starts_with("/v2/") ||
                          std::string_view(call.request.target).starts_with("/-/api/");
  const bool is_page = response.header("Content-Type").starts_with("text/html");
  if (response.status < 400 || hub_answer || is_page || !wants_page(call.request)) return response;
  return page_of_refusal(call, std::move(response));
}

// "Not here" of a kind that an upstream could change.
bool may_be_pulled(const Call& call, const Response& refused) {
  if (call.services.pull == nullptr || !call.match.route->pulls || call.request.trusted)
    return false;
  // git's URLs may end in ".git", and no other.
  const auto repo = call.match.route->name == std::string_view("git-refs")
                        ? named_repository(call)
                        : storage::find_repo_id(call.match.kind, call.match.repo);
  if (!repo || !may_see(call, *repo)) return false;
  const std::string_view code = refused.header("X-Error-Code");
  // Whoever brings another hub's token is told of that before all else.
  const bool absent = code == "RepoNotFound" || (refused.status == 401 && code != "GatedRepo");
  return absent || code == "RevisionNotFound";
}

using Step = std::optional<Response>(const Call&);

std::optional<Response> check_and_run(const Call& call) {
  check_access(call);
  check_body(call);
  return call.match.route->handler(call);
}

std::optional<Response> check_alone(const Call& call) {
  check_access(call);
  check_body(call);
  return std::nullopt;
}

std::optional<Response> attempt(Step step, const Call& call) {
  try {
    return step(call);
  } catch (...) {
    return failure_response(call);
  }
}

// Nothing only where the step finds nothing to say.
std::optional<Response> answer(Step step, const Request& request, const Services& services,
                               const std::optional<Match>& found) {
  if (request.method == "OPTIONS") return preflight();
  const auto target = split_target(request.target);
  const Match none;
  const Call call{.request = request,
                  .services = services,
                  .match = found ? *found : none,
                  .query = Parameters::parse(target ? target->query : std::string_view())};
  if (!target) return dress_error(call, error_response(400, "", "Malformed request target"));
  if (!found) return dress_error(call, error_response(404, "", "Not found"));
  if (found->route == nullptr) return wrong_method(*found);
  auto response = attempt(step, call);
  if (!response) return std::nullopt;
  response = dress_error(call, *std::move(response));
  response->route = found->route->name;
  return response;
}

// The step's answer as it leaves us.
std::optional<Response> finish(Step step, const Request& asked, const Services& services,
                               const std::optional<Match>& found) {
  Request request = asked;
  Caller caller;
  if (request.caller == nullptr && services.access != nullptr) {
    caller = services.access->identify(request);
    request.caller = &caller;
  }
  auto response = answer(step, request, services, found);
  if (!response) return std::nullopt;
  response = in_oci_form(request.target, *std::move(response));
  if (!request.id.empty()) response->set("X-Request-Id", std::string(request.id));
  make_header_safe(*response);
  return response;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) noexcept { return same_ignoring_case(a, b); }

Response failure_response(const Call& call) {
  try {
    throw;
  } catch (const Refusal& refusal) {
    Response response = refusal.response();
    response.upstream_may_have_it = may_be_pulled(call, response);
    return response;
  } catch (const Error& error) {
    const int status = status_of(error.kind());
    // The operator's own verbs are told all of it.
    const std::string text =
        call.request.trusted ? error.what() : text_for_client(call.services, error);
    if (status >= 500 || text != error.what()) {
      // Escaped: what a client sent may stand in it, lines of a log included.
      log()->error("request_failed id={} route={} kind={} error={:?}", call.request.id,
                   call.match.route->name, to_text(error.kind()), std::string_view(error.what()));
    }
    Response response = error_response(status, "", text);
    if (error.kind() == ErrorKind::Unavailable)
      response.set("Retry-After", std::to_string(kBusyPause.count()));
    return response;
  } catch (const std::exception& error) {
    log()->error("request_failed id={} route={} error={:?}", call.request.id,
                 call.match.route->name, std::string_view(error.what()));
    return error_response(500, "", "Internal error");
  }
}

std::string_view Request::header(std::string_view name) const noexcept {
  const auto found =
      std::ranges::find_if(headers, [&](const Header& h) { return same_name(h.name, name); });
  return found == headers.end() ? std::string_view() : found->value;
}

std::string_view Response::header(std::string_view name) const noexcept {
  const auto found =
      std::ranges::find_if(headers, [&](const auto& h) { return same_name(h.first, name); });
  if (found != headers.end()) return found->second;
  return header_lines == nullptr ? std::string_view() : find_line(*header_lines, name);
}

std::uint64_t Response::body_bytes() const noexcept {
  if (const auto* text = std::get_if<std::string>(&body)) return text->size();
  return std::get<ObjectSlice>(body).range.length;
}

std::optional<Response> handle_hot(const Request& request, const Services& services) {
  auto response = answer_hot_file(request, services);
  if (response && !request.id.empty()) response->set("X-Request-Id", std::string(request.id));
  return response;
}

Response handle(const Request& request, const Services& services) {
  return handle(request, services, match(request.method, request.target));
}

Response handle(const Request& request, const Services& services,
                const std::optional<Match>& found) {
  return finish(check_and_run, request, services, found).value();
}

std::optional<Response> refuse_head(const Request& request, const Services& services,
                                    const std::optional<Match>& found) {
  auto refused = finish(check_alone, request, services, found);
  if (refused && refused->upstream_may_have_it) return std::nullopt;
  return refused;
}

}  // namespace holdfast::web
