// "/-/tokens": what a user, or an administrator, has given out, makes and revokes.
#include <algorithm>
#include <array>

#include "web/access.h"
#include "web/internal/answers.h"
#include "web/internal/forms.h"
#include "web/internal/gate.h"
#include "web/internal/page.h"
#include "web/internal/table.h"
#include "web/internal/tokens.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::Right;
using storage::Token;

// Patterns between blanks or commas.
std::vector<std::string> patterns_of(std::string_view text) {
  constexpr std::string_view kBetween = " \t\r\n,";
  std::vector<std::string> patterns;
  while (true) {
    const auto first = text.find_first_not_of(kBetween);
    if (first == std::string_view::npos) return patterns;
    text.remove_prefix(first);
    const auto end = std::min(text.find_first_of(kBetween), text.size());
    patterns.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

Token wanted_token(const Call& call, const Parameters& form) {
  Token token{.name = field(form, "name"), .user = field(form, "user")};
  const std::string scope = field(form, "scope");
  const auto right = storage::parse_right(scope);
  if (!right || *right < Right::Read)
    refuse(400, "", "scope: expected read, write or admin, found \"" + scope + "\"");
  token.scope = *right;
  token.repos = patterns_of(field(form, "repos"));
  const std::string days = field(form, "expires_days");
  if (days.empty()) return token;
  token.expires_at = end_after_days(call, number_of(days).value_or(0));
  return token;
}

Html optional_time(const std::optional<Time>& time, std::string_view otherwise) {
  Html html;
  return time ? time_html(*time) : html.add("<span class=\"quiet\">", otherwise, "</span>");
}

Html expiry_html(const Call& call, const Token& token) {
  if (token.expires_at && *token.expires_at <= call.services.clock->now())
    return chip("expired", "state-failed");
  return optional_time(token.expires_at, "never");
}

Html name_html(const Call& call, const Token& token) {
  const Caller& caller = caller_of(call.request);
  Html html;
  html.add(token.name);
  if (caller.token != nullptr && caller.token->secret == token.secret)
    html.add(" ", chip("this one", "state-running"));
  return html;
}

Html repositories_html(const Token& token) {
  Html html;
  if (token.repos.empty()) return html.add("<span class=\"quiet\">all</span>");
  for (const std::string& pattern : token.repos) html.add("<code>", pattern, "</code> ");
  return html;
}

Html revoke_form(const Call& call, const Token& token) {
  Html html;
  if (!may_end(call, token)) return html;
  return html.add(form_start(call, "/-/tokens/revoke"),
                  R"(<input type="hidden" name="name" value=")", token.name,
                  R"("><button class="plain bad" aria-label="Revoke )", token.name,
                  R"(">Revoke</button></form>)");
}

Html token_table(const Call& call) {
  const auto tokens = visible_tokens(call);
  Html html;
  if (tokens.empty()) return html.add("<p class=\"quiet\">There is no token yet.</p>\n");
  constexpr std::array kColumns{Column{"Name", "key"},
                                Column{"User"},
                                Column{"Scope"},
                                Column{"Repositories", "key"},
                                Column{"Expires", "when"},
                                Column{"Last used", "when"},
                                Column{"Actions", "get", true}};
  Table table(kColumns);
  for (const Token& token : tokens) {
    table.add_row({name_html(call, token),
                   Html().add(token.user.empty() ? std::string_view("–") : token.user),
                   Html().add(storage::to_text(token.scope)), repositories_html(token),
                   expiry_html(call, token), optional_time(token.last_used_at, "never"),
                   revoke_form(call, token)});
  }
  return table.html();
}

Html scope_choice(const Call& call) {
  const Caller& caller = caller_of(call.request);
  const Right most = may_operate(call) ? Right::Admin : caller.token->scope;
  Html html;
  html.add("<select name=\"scope\">");
  for (const Right right : {Right::Read, Right::Write, Right::Admin}) {
    if (right <= most) html.add("<option>", storage::to_text(right), "</option>");
  }
  return html.add("</select>");
}

Html make_form(const Call& call) {
  Html html;
  if (!may_make_tokens(call)) {
    return html.add(
        "<p class=\"quiet\">Who signs in with a token of a user that may write makes and revokes "
        "tokens here.</p>\n");
  }
  html.add("<section class=\"box form\"><h2>New token</h2>",
           form_start(call, "/-/tokens", "fields"),
           R"(<label>Name<input name="name" required maxlength="96" autocomplete="off" )"
           R"(placeholder="laptop"></label><label>Scope)",
           scope_choice(call), "</label>");
  if (may_operate(call)) {
    html.add(R"(<label>User<input name="user" maxlength="96" autocomplete="off" )"
             R"(placeholder="nobody’s"></label>)");
  }
  return html.add(
      R"(<label>Repositories<input name="repos" autocomplete="off" placeholder="all, or )"
      "patterns: "
      R"(org/* lab/x"></label><label>Expires after days<input name="expires_days" type="number" )"
      R"(min="1" max=")",
      std::uint64_t{kTokenDaysMax},
      "\" placeholder=\"never\"></label><button>Make token</button></form></section>\n");
}

struct Shown {
  int status = 200;
  Html notice = {};
  std::string_view cache = PageOptions{}.cache;
};

Response show(const Call& call, const Shown& shown) {
  Html body;
  body.add("<section class=\"hero\"><h1>",
           may_operate(call) ? std::string_view("Tokens") : std::string_view("Your tokens"),
           "</h1></section>\n", shown.notice, token_table(call), make_form(call));
  const PageOptions options{
      .title = "Tokens", .section = Section::None, .status = shown.status, .cache = shown.cache};
  return page_response(call, options, body);
}

Response show_failure(const Call& call, int status, std::string_view why) {
  Shown shown{.status = status, .notice = {}};
  shown.notice.add("<p class=\"notice\">", why, "</p>\n");
  return show(call, shown);
}

// Runs what a form asks for; what is wrong with it is said on the page.
template <class Step>
Response attempt(const Call& call, const std::string& name, Step step) {
  const auto ask = [&] {
    try {
      return step();
    } catch (const Refusal& refusal) {
      return show_failure(call, refusal.response().status, refusal.what());
    } catch (const Error& error) {
      const int status = status_of(error.kind());
      if (status >= 500) throw;
      return show_failure(call, status, error.what());
    }
  };
  Response response = ask();
  if (response.subject.empty()) response.subject = "token " + name;
  return response;
}

}  // namespace

Response tokens_page(const Call& call) { return show(call, {}); }

Response create_token_by_form(const Call& call) {
  const Parameters form = form_fields(call);
  return attempt(call, field(form, "name"), [&] {
    const MadeToken made = make_token(call, wanted_token(call, form));
    Shown shown{.cache = "no-store"};
    shown.notice.add("<section class=\"box once\"><h2>New token ", made.token.name,
                     "</h2><p>Keep it now: it is shown this once.</p><pre><code>", made.text,
                     "</code></pre></section>\n");
    Response response = show(call, shown);
    response.subject = "token " + made.token.name + " " + made.token.id();
    return response;
  });
}

Response revoke_token_by_form(const Call& call) {
  const std::string name = field(form_fields(call), "name");
  return attempt(call, name, [&] {
    end_token(call, name);
    return see_other(call, "/-/tokens");
  });
}

}  // namespace holdfast::web
