#include "web/internal/page.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "web/internal/answers.h"
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

}  // namespace

std::string style_path(const Services& services) {
  return base_path(services) + "/-/static/" + std::string(style_name());
}

Response page_response(const Call& call, const PageOptions& options, const Html& body) {
  const std::string base = base_path(call.services);
  Html page;
  page.add(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>", options.title,
      " · Holdfast</title>\n<link rel=\"stylesheet\" href=\"", style_path(call.services),
      "\">\n</head>\n<body>\n<header class=\"top\"><div class=\"wide\"><a class=\"brand\" href=\"",
      base, "/\"><span class=\"mark\" aria-hidden=\"true\"></span>Holdfast</a><nav>",
      nav_link(base + "/", "Catalog", options.section == Section::Catalog),
      nav_link(base + "/-/mirrors", "Mirrors", options.section == Section::Mirrors),
      nav_link(base + "/-/jobs", "Jobs", options.section == Section::Jobs),
      "</nav></div></header>\n<main class=\"wide\">\n", body,
      "</main>\n<footer class=\"wide\">Holdfast ", call.services.version,
      " · every file on this site is served from this machine</footer>\n</body>\n</html>\n");
  Response response;
  response.status = options.status;
  response.set("Content-Type", "text/html; charset=utf-8");
  response.set("Content-Security-Policy", std::string(kPagePolicy));
  response.set("Referrer-Policy", "no-referrer");
  response.set("Cache-Control", "no-cache");
  response.body = page.text();
  return response;
}

Response error_page(const Call& call, int status, std::string_view message) {
  Html body;
  body.add("<section class=\"empty\"><p class=\"status\">", static_cast<std::uint64_t>(status),
           "</p><h1>", message.empty() ? std::string_view("Something went wrong") : message,
           "</h1><p><a href=\"", base_path(call.services),
           "/\">Back to the catalog</a></p></section>\n");
  return page_response(
      call, {.title = std::string(message), .section = Section::None, .status = status}, body);
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
    html.add("<a class=\"owner\" href=\"", base_path(call.services),
             "/?q=", percent_encode(id.owner + "/"), "\">", id.owner,
             "</a><span class=\"slash\">/</span>");
  }
  html.add("<a href=\"", page, "\">", id.name, "</a>");
  if (id.kind == storage::RepoKind::Dataset) html.add(" ", chip("dataset", "kind"));
  html.add("</h1><nav class=\"tabs\">", nav_link(page, "Card", tab == Tab::Card),
           nav_link(files, "Files", tab == Tab::Files), "</nav></div>\n");
  return html;
}

}  // namespace holdfast::web
