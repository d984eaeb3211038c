// "/-/login" and "/-/logout": a token for a browser's session (browser_session.h), and its end.
#include <algorithm>

#include "web/access.h"
#include "web/browser_session.h"
#include "web/internal/answers.h"
#include "web/internal/forms.h"
#include "web/internal/gate.h"
#include "web/internal/page.h"
#include "web/limits.h"
#include "web/metrics.h"

namespace holdfast::web {
namespace {

Access& access_of(const Call& call) {
  if (call.services.access == nullptr) refuse(501, "", "Nobody can sign in here");
  return *call.services.access;
}

// What was pasted, without what surrounded it.
std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kBlank) - first + 1));
}

Response with_cookie(const Call& call, Response response, SessionCookie cookie) {
  const std::string base = base_path(call.services);
  cookie.name = access_of(call).sessions().cookie_name();
  cookie.path = base.empty() ? "/" : base;
  cookie.secure = base_url(call).starts_with("https://");
  response.set("Set-Cookie", set_cookie(cookie));
  return response;
}

Response form_page(const Call& call, int status, const SignIn& sign_in) {
  Response response =
      page_response(call, {.title = "Sign in", .section = Section::None, .status = status},
                    sign_in_html(call, sign_in));
  return response;
}

// Why whoever brought this token is not let in; nothing for who is.
struct Refused {
  int status = 403;
  std::string_view why;
};

std::optional<Refused> refusal_of(const Caller& caller) {
  if (caller.wait.count() > 0)
    return Refused{.status = 429, .why = "Too many wrong tokens came from your address: wait"};
  if (caller.identity != nullptr)
    return Refused{.status = 403, .why = "A token of an identity provider opens no session here"};
  if (caller.token == nullptr)
    return Refused{.status = 403, .why = "Nobody here has this token, or it has expired"};
  return std::nullopt;
}

}  // namespace

Html sign_in_html(const Call& call, const SignIn& sign_in) {
  Html body;
  body.add("<section class=\"sign-in\"><h1>Sign in</h1>");
  if (!sign_in.notice.empty()) body.add("<p class=\"notice\">", sign_in.notice, "</p>");
  body.add(R"(<form method="post" action=")", base_path(call.services),
           R"(/-/login"><input type="hidden" name="next" value=")", local_path(sign_in.next),
           "\"><label>Token<input type=\"password\" name=\"token\" required autofocus "
           "autocomplete=\"current-password\" spellcheck=\"false\" placeholder=\"hf_…\"></label>"
           "<button>Sign in</button></form><p class=\"quiet\">A token of this server, as its "
           "administrator gave it to you: not one of another hub.</p></section>\n");
  return body;
}

Response sign_in_page(const Call& call) {
  const std::string next = local_path(field(call.query, "next"));
  const Caller& caller = caller_of(call.request);
  if (!caller.signed_in()) {
    return form_page(call, 200, {.next = next, .notice = ""});
  }
  Html body;
  body.add("<section class=\"empty\"><h1>You are signed in as ", caller.who(), "</h1><p><a href=\"",
           base_path(call.services), next, "\">Go on</a></p></section>\n");
  return page_response(call, {.title = "Sign in", .section = Section::None}, body);
}

Response sign_in(const Call& call) {
  Access& access = access_of(call);
  check_form_origin(call);
  const Parameters form = form_fields(call);
  const std::string next = local_path(field(form, "next"));
  const Caller caller = access.identify(call.request, trimmed(field(form, "token")));
  if (const auto refused = refusal_of(caller)) {
    if (caller.wrong_token && call.services.metrics != nullptr)
      call.services.metrics->sign_in_failed(Metrics::SignIn::Form);
    Response response = form_page(call, refused->status, {.next = next, .notice = refused->why});
    if (refused->status == 429) response.set("Retry-After", std::to_string(caller.wait.count()));
    response.subject = caller.token == nullptr ? "wrong token" : caller.who();
    return response;
  }
  const Time now = call.services.clock->now();
  const Time ends_at =
      std::min(now + kBrowserSessionLife, caller.token->expires_at.value_or(Time::max()));
  Response response = with_cookie(
      call, see_other(call, next),
      {.value = access.sessions().sign({.token = caller.token->secret, .ends_at = ends_at}),
       .lifetime = std::chrono::floor<std::chrono::seconds>(ends_at - now)});
  response.subject = caller.who() + " token " + caller.token->id();
  return response;
}

Response sign_out(const Call& call) {
  Response response = with_cookie(call, see_other(call, "/"), {});
  response.subject = caller_of(call.request).who();
  return response;
}

}  // namespace holdfast::web
