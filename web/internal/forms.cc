#include "web/internal/forms.h"

#include <algorithm>
#include <charconv>

#include "web/access.h"
#include "web/browser_session.h"
#include "web/internal/answers.h"
#include "web/internal/gate.h"

namespace holdfast::web {
namespace {

constexpr std::string_view kKeyField = "form_key";
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

bool is_form(const Request& request) noexcept {
  return request.header("Content-Type").starts_with(kFormType);
}

// "hub.example.org:8443" of "https://hub.example.org:8443/base". The scheme is left out: a proxy
// may speak TLS in our place.
std::string_view authority_of(std::string_view url) noexcept {
  const auto start = url.find("://");
  if (start == std::string_view::npos) return url;
  url.remove_prefix(start + 3);
  return url.substr(0, url.find('/'));
}

}  // namespace

bool is_of_other_site(const Request& request) noexcept {
  const std::string_view site = request.header("Sec-Fetch-Site");
  return site == "cross-site" || site == "same-site";
}

void check_form_origin(const Call& call) {
  const std::string_view origin = call.request.header("Origin");
  const std::string base = base_url(call);
  const bool foreign = !origin.empty() && !same_name(authority_of(origin), authority_of(base));
  if (!foreign && !is_of_other_site(call.request)) return;
  refuse(403, "",
         "Another site may not ask for this in its visitor's name (this is " + base +
             "; if it is not, external_url is to be set)");
}

void check_form(const Call& call) {
  const Request& request = call.request;
  const Caller& caller = caller_of(request);
  if (caller.session.empty() || request.method == "GET" || request.method == "HEAD") return;
  check_form_origin(call);
  const Parameters form = is_form(request) ? Parameters::parse(request.body) : Parameters();
  const std::string* key = form.find(kKeyField);
  if (key != nullptr && call.services.access->sessions().is_form_key(caller.session, *key)) return;
  refuse(403, "", "Who signed in by a browser changes things by the forms of these pages only");
}

Parameters without_form_key(const Parameters& fields) {
  Parameters kept;
  for (const auto& [name, value] : fields.entries()) {
    if (name != kKeyField) kept.add(name, value);
  }
  return kept;
}

Parameters form_fields(const Call& call) {
  if (!is_form(call.request)) {
    refuse(400, "", "Content-Type: expected " + std::string(kFormType));
  }
  return without_form_key(Parameters::parse(call.request.body));
}

std::string field(const Parameters& fields, std::string_view name) {
  const std::string* value = fields.find(name);
  return value == nullptr ? "" : *value;
}

std::optional<std::uint64_t> number_of(std::string_view text) noexcept {
  std::uint64_t number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = result.ec == std::errc() && result.ptr == text.data() + text.size();
  return whole ? std::optional(number) : std::nullopt;
}

Html form_key_field(const Call& call) {
  const Caller& caller = caller_of(call.request);
  Html field;
  if (caller.session.empty()) return field;
  return field.add(R"(<input type="hidden" name=")", kKeyField, "\" value=\"",
                   call.services.access->sessions().form_key(caller.session), "\">");
}

Html form_start(const Call& call, std::string_view path, std::string_view style) {
  Html form;
  form.add(R"(<form method="post" action=")", base_path(call.services), path, "\"");
  if (!style.empty()) form.add(" class=\"", style, "\"");
  return form.add(">", form_key_field(call));
}

std::string local_path(std::string_view next) {
  // Browsers take "/\" for "//", which begins another site's address.
  const bool plain = next.starts_with('/') && next.find('\\') == std::string_view::npos &&
                     std::ranges::all_of(next, [](char c) { return c > ' ' && c < 0x7f; });
  return plain && split_target(next) ? std::string(next) : "/";
}

Response see_other(const Call& call, std::string_view path) {
  Response response;
  response.status = 303;
  response.set("Location", base_path(call.services) + std::string(path));
  response.set("Cache-Control", "no-store");
  return response;
}

std::string sign_in_path(const Call& call) {
  const std::string next = local_path(call.request.target);
  const bool leads_on = next != "/" && !next.starts_with("/-/login");
  return !leads_on ? "/-/login" : "/-/login?next=" + percent_encode(next);
}

}  // namespace holdfast::web
