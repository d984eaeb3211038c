#include "web/internal/page.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "web/access.h"
#include "web/internal/answers.h"
#include "web/internal/forms.h"
#include "web/internal/gate.h"
#include "web/static_files.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kPagePolicy =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'";

Html nav_link(const std::string& href, std::string_view name, bool current) {
  Html link;
  link.add("<a href=\"", href, "\"");
  if (current) link.add(" aria-current=\"page\"");
  return link.add(">", name, "</a>");
}

Response message_page(const Call& call, int status, std::string_view message, const Html& way) {
  Html body;
  body.add(R"(<section class="empty"><p class="status">)", static_cast<std::uint64_t>(status),
           "</p><h1>", message.empty() ? std::string_view("Something went wrong") : message,
           "</h1><p>", way, "</p></section>\n");
  return page_response(
      call, {.title = std::string(message), .section = Section::None, .status = status}, body);
}

// The form to sign in, in the place of a page that who has not may not see.
Response sign_in_instead(const Call& call, const Response& refusal) {
  const std::string_view code = refusal.header("X-Error-Code");
  const std::string_view notice = code == "RepoNotFound"
                                      ? "This is not here, or only for those who have signed in."
                                  : code == "GatedRepo" ? refusal.header("X-Error-Message")
                                                        : "This is for those who have signed in.";
  const PageOptions options{.title = "Sign in", .section = Section::None, .status = 401};
  return page_response(call, options,
                       sign_in_html(call, {.next = call.request.target, .notice = notice}));
}

// Where it can be asked for is a page: what programs are told is of no use to people.
Response gated_page(const Call& call, const storage::RepoId& repo, int status) {
  Html way;
  way.add("<a href=\"", page_path(call.services, repo),
          "\">Ask for access, or see what became of it</a>");
  return message_page(call, status,
                      "The files of " + repo.full_name() + " are for those who have been let in",
                      way);
}

// Who is signed in, or where to.
Html account_html(const Call& call) {
  Html html;
  const Access* access = call.services.access;
  if (access == nullptr || call.request.trusted) return html;
  const Caller& caller = caller_of(call.request);
  const std::string base = base_path(call.services);
  if (!caller.signed_in()) {
    if (!access->asks_for_token()) return html;
    return html.add(R"(<div class="account"><a href=")", base, sign_in_path(call),
                    "\">Sign in</a></div>");
  }
  html.add(R"(<div class="account"><a href=")", base, "/-/tokens\">", caller.who(), "</a>");
  if (!caller.session.empty()) {
    html.add(form_start(call, "/-/logout"), "<button class=\"plain\">Sign out</button></form>");
  }
  return html.add("</div>");
}

}  // namespace

std::string style_path(const Services& services) {
  return base_path(services) + "/-/static/" + std::string(style_name());
}

Response page_response(const Call& call, const PageOptions& options, const Html& body) {
  const std::string base = base_path(call.services);
  Html page;
  page.add("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
           "<meta name=\"color-scheme\" content=\"light dark\">\n<title>", options.title,
           " · Holdfast</title>\n<link rel=\"stylesheet\" href=\"", style_path(call.services),
           "\">\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n",
           R"(<header class="top"><div class="wide"><a class="brand" href=")", base,
           R"(/"><span class="mark" aria-hidden="true"></span>Holdfast</a><nav aria-label="Site">)",
           nav_link(base + "/", "Catalog", options.section == Section::Catalog),
           nav_link(base + "/-/mirrors", "Mirrors", options.section == Section::Mirrors),
           nav_link(base + "/-/jobs", "Jobs", options.section == Section::Jobs), "</nav>",
           account_html(call), "</div></header>\n<main class=\"wide\" id=\"main\">\n", body,
           "</main>\n<footer class=\"wide\">Holdfast ", call.services.version,
           " · every file on this site is served from this machine</footer>\n</body>\n</html>\n");
  Response response;
  response.status = options.status;
  response.set("Content-Type", "text/html; charset=utf-8");
  response.set("Content-Security-Policy", std::string(kPagePolicy));
  // Our own forms have to say where they come from, and no other site what it was called from.
  response.set("Referrer-Policy", "same-origin");
  response.set("Cache-Control", std::string(options.cache));
  response.body = page.text();
  return response;
}

Response error_page(const Call& call, int status, std::string_view message) {
  Html way;
  way.add("<a href=\"", base_path(call.services), "/\">Back to the catalog</a>");
  return message_page(call, status, message, way);
}

Response page_of_refusal(const Call& call, Response refusal) {
  const bool reads = call.request.method == "GET" || call.request.method == "HEAD";
  const bool signs_in = refusal.status == 401 && reads &&
                        call.request.header("Authorization").empty() &&
                        call.services.access != nullptr;
  const std::string message(refusal.header("X-Error-Message"));
  const auto repo =
      refusal.header("X-Error-Code") == "GatedRepo" ? named_repository(call) : std::nullopt;
  Response page = signs_in ? sign_in_instead(call, refusal)
                  : repo   ? gated_page(call, *repo, refusal.status)
                           : error_page(call, refusal.status, message);
  const auto replace = [&](const std::string& name, const std::string& value) {
    std::erase_if(refusal.headers, [&](const auto& row) { return same_name(row.first, name); });
    refusal.set(name, value);
  };
  for (const auto& [name, value] : page.headers) replace(name, value);
  // A challenge that no browser answers with a window of its own.
  if (signs_in) replace("WWW-Authenticate", R"(Bearer realm="Holdfast")");
  refusal.body = std::move(page.body);
  return refusal;
}

Html time_html(Time time) {
  const auto seconds = std::chrono::system_clock::to_time_t(time);
  Html html;
  html.add("<time datetime=\"", to_text(time), "\" title=\"", to_text(time), "\">",
           fmt::format("{:%e %b %Y}", fmt::gmtime(seconds)), "</time>");
  return html;
}

Html chip(std::string_view text, std::string_view kind) {
  Html html;
  html.add("<span class=\"chip");
  if (!kind.empty()) html.add(" ", kind);
  return html.add("\">", text, "</span>");
}

Html repository_head(const Call& call, const storage::RepoId& id, std::string_view revision,
                     Tab tab) {
  const std::string page = page_path(call.services, id);
  const std::string files = page + "/tree/" + percent_encode(revision);
  Html html;
  html.add("<div class=\"repo\"><h1>");
  if (!id.owner.empty()) {
    html.add(R"(<a class="owner" href=")", base_path(call.services),
             "/?author=", percent_encode(id.owner), "\">", id.owner,
             "</a><span class=\"slash\">/</span>");
  }
  html.add("<a href=\"", page, "\">", id.name, "</a>");
  if (id.kind == storage::RepoKind::Dataset) html.add(" ", chip("dataset", "kind"));
  html.add(R"(</h1><nav class="tabs" aria-label="Repository">)",
           nav_link(page, "Card", tab == Tab::Card), nav_link(files, "Files", tab == Tab::Files),
           "</nav></div>\n");
  return html;
}

}  // namespace holdfast::web
