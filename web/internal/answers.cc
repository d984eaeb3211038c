#include "web/internal/answers.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "web/internal/gate.h"
#include "web/limits.h"
#include "web/name_index.h"

namespace holdfast::web {
namespace {

// Sends the client to the repository's true name, by a relative Location that keeps the query.
[[noreturn]] void redirect_repository(const Call& call, const storage::RepoId& id) {
  const std::string_view target = call.request.target;
  const auto path_end = std::min(target.find('?'), target.size());
  const auto at = target.substr(0, path_end).find("/" + call.match.repo);
  if (at == std::string_view::npos) refuse(404, "RepoNotFound", "Repository not found");
  const auto rest = target.substr(at + 1 + call.match.repo.size());
  Response response;
  response.status = 307;
  const std::string location = base_path(call.services) + std::string(target.substr(0, at + 1)) +
                               id.full_name() + std::string(rest);
  response.set("Location", location);
  response.body = "Temporary Redirect. Redirecting to " + location;
  throw Refusal(ErrorKind::NotFound, "renamed", std::move(response));
}

// The operator's own verbs get the hint; others might learn names that are none of theirs.
[[noreturn]] void refuse_operator(const Call& call, const storage::RepoId& id,
                                  std::string_view revision) {
  refuse(404, "RepoNotFound",
         storage::describe_missing(call.services.store.catalog(), id, revision));
}

// All names have to be read first.
[[noreturn]] void refuse_for_pool() {
  Response response;
  response.needs_pool = true;
  throw Refusal(ErrorKind::Unavailable, "not on a socket's own thread", std::move(response));
}

// The name that a repository has now, if the caller may see it.
std::optional<storage::RepoId> find_moved(const Call& call, const storage::RepoId& id) {
  const auto& catalog = call.services.store.catalog();
  const auto name = catalog.find_fact(id, GitOid{}, "moved");
  const auto now = name ? storage::find_repo_id(id.kind, name->as_string("moved")) : std::nullopt;
  return now && catalog.find_repository(*now) && may_see(call, *now) ? now : std::nullopt;
}

// What clients sent may stand in it, in any length; proxies take heads of a few kilobytes.
void set_error_message(Response& response, std::string_view message) {
  constexpr std::size_t kMessageMax = 1000;
  response.set("X-Error-Message", std::string(message.substr(0, kMessageMax)));
}

[[noreturn]] void refuse_repository(const Call& call) {
  const auto id = storage::find_repo_id(call.match.kind, call.match.repo);
  if (id && call.request.trusted) refuse_operator(call, *id, "");
  if (id && call.services.names != nullptr) {
    if (call.request.on_socket && !call.services.names->is_ready()) refuse_for_pool();
    const auto other = call.services.names->find_other_case(*id);
    if (other && may_see(call, *other)) redirect_repository(call, *other);
  }
  if (id) {
    if (const auto now = find_moved(call, *id)) redirect_repository(call, *now);
  }
  refuse_absent(call);
}

}  // namespace

Response json_response(const Json& value, int status) {
  Response response;
  response.status = status;
  response.set("Content-Type", "application/json; charset=utf-8");
  response.body = to_text(value);
  return response;
}

Response error_response(int status, std::string_view code, std::string_view message) {
  Response response = json_response(Json::Object{{"error", message}}, status);
  if (!code.empty()) response.set("X-Error-Code", std::string(code));
  set_error_message(response, message);
  return response;
}

Response busy_response(std::string_view message, int status) {
  Response response = error_response(status, "", message);
  response.set("Retry-After", std::to_string(kBusyPause.count()));
  return response;
}

Response oci_error(int status, std::string_view code, std::string_view message) {
  Response response = json_response(
      Json::Object{{"error", message},
                   {"errors", Json::Array{Json::Object{{"code", code}, {"message", message}}}}},
      status);
  set_error_message(response, message);
  return response;
}

void refuse(int status, std::string_view code, std::string_view message) {
  const ErrorKind kind = status == 404 ? ErrorKind::NotFound : ErrorKind::Invalid;
  throw Refusal(kind, std::string(message), error_response(status, code, message));
}

void make_header_safe(Response& response) {
  for (auto& [name, value] : response.headers) {
    for (char& c : value) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
  }
}

int status_of(ErrorKind kind) noexcept {
  struct Row {
    ErrorKind kind;
    int status;
  };

  constexpr std::array kRows{
      Row{ErrorKind::Invalid, 400},
      Row{ErrorKind::NotFound, 404},
      Row{ErrorKind::Corrupt, 500},
      Row{ErrorKind::Unsupported, 501},
      Row{ErrorKind::LimitExceeded, 413},
      Row{ErrorKind::Conflict, 409},
      Row{ErrorKind::Denied, 403},
      Row{ErrorKind::NoSpace, 507},
      Row{ErrorKind::Io, 500},
      Row{ErrorKind::Unavailable, 503},
      Row{ErrorKind::Timeout, 504},
      Row{ErrorKind::Cancelled, 503},
  };
  const auto row = std::ranges::find_if(kRows, [&](const Row& r) { return r.kind == kind; });
  return row == kRows.end() ? 500 : row->status;
}

std::string base_url(const Call& call) {
  if (!call.services.external_url.empty()) {
    std::string url = call.services.external_url;
    while (url.ends_with('/')) url.pop_back();
    return url;
  }
  // Anyone can write these headers: they count from a proxy on the list only.
  const auto forwarded = [&](std::string_view name) {
    return call.request.forwarded ? call.request.header(name) : std::string_view();
  };
  std::string_view scheme = forwarded("X-Forwarded-Proto");
  if (scheme != "http" && scheme != "https") scheme = call.request.scheme;
  std::string_view host = forwarded("X-Forwarded-Host");
  if (!is_host(host)) host = call.request.header("Host");
  if (!is_host(host)) host = call.services.authority;
  return std::string(scheme) + "://" + std::string(host);
}

std::string base_path(const Services& services) {
  const auto scheme = services.external_url.find("://");
  if (scheme == std::string::npos) return "";
  const auto slash = services.external_url.find('/', scheme + 3);
  std::string path = slash == std::string::npos ? "" : services.external_url.substr(slash);
  while (path.ends_with('/')) path.pop_back();
  return path;
}

std::string next_link(const Call& call, std::string_view name, std::string_view value) {
  const auto target = split_target(call.request.target);
  std::string url = base_url(call) + std::string(target ? target->path : "/") + "?";
  std::string_view query = target ? target->query : "";
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    // In whatever spelling: the first of a name counts, and a page would lead to itself.
    if (Parameters::parse(pair).find(name) == nullptr) url += std::string(pair) + "&";
  }
  std::string link = "<";
  // The query came from the client: nothing in it may end the <…> of the header.
  for (const char c : url) {
    const bool ends = c == '<' || c == '>' || c == '"';
    link += ends ? percent_encode({&c, 1}) : std::string(1, c);
  }
  return link + std::string(name) + "=" + percent_encode(value) + ">; rel=\"next\"";
}

std::size_t page_limit(const Call& call, std::size_t limit_max) {
  const std::string* text = call.query.find("limit");
  if (text == nullptr) return limit_max;
  std::size_t limit = 0;
  const auto result = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (result.ec != std::errc() || result.ptr != text->data() + text->size()) {
    refuse(400, "", "limit: expected a number, found \"" + *text + "\"");
  }
  return std::clamp<std::size_t>(limit, 1, limit_max);
}

bool is_llama_cpp(const Request& request) {
  return request.header("User-Agent").starts_with("llama-cpp");
}

storage::RepositoryRecord find_repository(const Call& call) {
  const auto id = storage::find_repo_id(call.match.kind, call.match.repo);
  auto record = id ? call.services.store.catalog().find_repository(*id) : std::nullopt;
  if (!record) refuse_repository(call);
  return *std::move(record);
}

RevisionAt find_revision(const Call& call, std::string_view otherwise) {
  const auto id = storage::find_repo_id(call.match.kind, call.match.repo);
  if (!id) refuse_repository(call);
  const auto& catalog = call.services.store.catalog();
  const std::string_view name = call.match.revision.empty() ? otherwise : call.match.revision;
  if (const auto commit = catalog.resolve(*id, name)) {
    return {.id = *id, .commit = *commit, .by_commit = to_hex(*commit) == name};
  }
  if (!catalog.find_repository(*id)) refuse_repository(call);
  if (call.request.trusted) refuse_operator(call, *id, name);
  refuse(404, "RevisionNotFound", "Invalid rev id: " + std::string(name));
}

void refuse_entry(const RevisionAt& at, bool outside_selection) {
  Response response = error_response(
      404, "EntryNotFound",
      outside_selection ? "Entry not found: this file is outside the selection that was mirrored"
                        : "Entry not found");
  response.set("X-Repo-Commit", to_hex(at.commit));
  throw Refusal(ErrorKind::NotFound, "Entry not found", std::move(response));
}

std::string_view plural(storage::RepoKind kind) noexcept {
  return kind == storage::RepoKind::Model ? "models" : "datasets";
}

std::string page_path(const Services& services, const storage::RepoId& id) {
  const std::string_view kind = id.kind == storage::RepoKind::Dataset ? "/datasets/" : "/";
  return base_path(services) + std::string(kind) + percent_encode(id.full_name(), true);
}

}  // namespace holdfast::web
