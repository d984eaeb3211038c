// Asking to pass a repository's gate, on its page, and "/-/access/{kind}/{repo}": who asked, for
// those who decide.
#include <algorithm>
#include <array>
#include <tuple>

#include "web/access.h"
#include "web/internal/access_requests.h"
#include "web/internal/answers.h"
#include "web/internal/forms.h"
#include "web/internal/gate.h"
#include "web/internal/gate_html.h"
#include "web/internal/page.h"
#include "web/internal/table.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using storage::AccessRequest;
using storage::Gate;
using storage::RepoId;
using storage::Right;
using storage::Standing;

std::string named(const RepoId& repo) {
  return std::string(storage::to_text(repo.kind)) + "/" + percent_encode(repo.full_name(), true);
}

std::string access_place(const RepoId& repo) { return "/-/access/" + named(repo); }

// The path of the repository's page, without the base path.
std::string page_place(const Call& call, const RepoId& repo) {
  return page_path(call.services, repo).substr(base_path(call.services).size());
}

// How a field of "extra_gated_fields" is asked for (the hub's documentation of gated models).
struct FieldType {
  std::string_view name;
  std::string_view input;  // HTML's; "" asks nothing
};

constexpr std::array kFieldTypes{FieldType{"text", "text"}, FieldType{"country", "text"},
                                 FieldType{"date_picker", "date"}, FieldType{"ip_location", ""}};

// A list's item: a text, or a record with a label and a value.
std::pair<std::string, std::string> choice_of(const Json& item) {
  if (item.is_string()) return {item.as_string(), item.as_string()};
  const Json* label = item.find("label");
  const Json* value = item.find("value");
  if (label == nullptr || !label->is_string()) return {};
  const bool has_value = value != nullptr && value->is_string();
  return {label->as_string(), has_value ? value->as_string() : label->as_string()};
}

Html choice_field(const std::string& name, const Json& type) {
  const Json* options = type.find("options");
  Html html;
  if (options == nullptr || !options->is_array()) return html;
  html.add("<label>", name, "<select name=\"", name, "\">");
  for (const Json& item : options->as_array()) {
    const auto [label, value] = choice_of(item);
    if (!label.empty()) html.add("<option value=\"", value, "\">", label, "</option>");
  }
  return html.add("</select></label>");
}

Html asked_field(const std::string& name, const Json& type) {
  if (type.is_object()) return choice_field(name, type);
  const std::string kind = type.is_string() ? type.as_string() : "text";
  Html html;
  if (kind == "checkbox") {
    return html.add(R"(<label class="tick"><input type="checkbox" value="true" required name=")",
                    name, "\">", name, "</label>");
  }
  const auto* row = std::ranges::find(kFieldTypes, kind, &FieldType::name);
  const std::string_view input = row == kFieldTypes.end() ? "text" : row->input;
  if (input.empty()) return html;
  return html.add("<label>", name, R"(<input required maxlength="1000" type=")", input,
                  "\" name=\"", name, "\"></label>");
}

Html asking_form(const Call& call, const RepositoryFacts& facts) {
  const Json card = facts.card_data();
  const auto text = [&](std::string_view key, std::string_view otherwise) {
    const Json* value = card.find(key);
    return value != nullptr && value->is_string() ? value->as_string() : std::string(otherwise);
  };
  Html html;
  html.add("<p class=\"prompt\">",
           text("extra_gated_prompt", "Its files are for those who have been let in."), "</p>",
           form_start(call, "/-/ask-access/" + named(facts.repository.id)));
  const Json* fields = card.find("extra_gated_fields");
  if (fields != nullptr && fields->is_object()) {
    std::size_t count = 0;
    for (const auto& [name, type] : fields->as_object()) {
      if (++count <= kGateFieldsMax) html.add(asked_field(std::string(name), type));
    }
  }
  return html.add("<button>", text("extra_gated_button_content", "Ask for access"),
                  "</button></form>");
}

Html standing_html(const Call& call, const RepositoryFacts& facts) {
  const Access& access = *call.services.access;
  const RepoId& repo = facts.repository.id;
  const Caller& caller = caller_of(call.request);
  Html html;
  if (access.passes(caller, repo, facts.repository.gated)) {
    return html.add("<p>", chip("accepted", "state-done"), " You may have its files.</p>");
  }
  if (!caller.signed_in()) {
    return html.add("<p>Its files are for those who have been let in. <a href=\"",
                    base_path(call.services), sign_in_path(call),
                    "\">Sign in</a> to ask for access.</p>");
  }
  const auto request = access.book().find_request(repo, caller.who());
  if (!request) return asking_form(call, facts);
  if (request->standing == Standing::Pending) {
    return html.add("<p>", chip("pending", "warn"), " You asked for access on ",
                    time_html(request->asked_at), "; nobody has decided yet.</p>");
  }
  return html.add("<p>", chip("rejected", "state-failed"), " Your request was rejected on ",
                  time_html(request->decided_at), ".</p>");
}

// What the form asked, as "name: value" lines.
Html answers_html(const AccessRequest& request) {
  Html html;
  if (request.answers.empty()) return html;
  const Json answers = parse_json(request.answers, "access request");
  if (!answers.is_object()) return html;
  for (const auto& [name, value] : answers.as_object()) {
    html.add("<div><span class=\"quiet\">", name, ":</span> ",
             value.is_string() ? value.as_string() : to_text(value), "</div>");
  }
  return html;
}

Html decision_form(const Call& call, const AccessRequest& request, Standing standing,
                   std::string_view label) {
  Html html;
  return html.add(form_start(call, access_place(request.repo), "inline"),
                  R"(<input type="hidden" name="who" value=")", request.who,
                  R"("><input type="hidden" name="standing" value=")", storage::to_text(standing),
                  "\"><button class=\"plain ",
                  standing == Standing::Accepted ? std::string_view("good") : "bad",
                  "\" aria-label=\"", label, " ", request.who, "\">", label, "</button></form>");
}

struct StandingInfo {
  Standing standing;
  std::string_view style;
};

constexpr std::array kStandings{StandingInfo{Standing::Pending, "warn"},
                                StandingInfo{Standing::Accepted, "state-done"},
                                StandingInfo{Standing::Rejected, "state-failed"}};

Html decided_html(const AccessRequest& request) {
  Html html;
  if (request.decided_by.empty()) return html;
  return html.add(request.decided_by, ", ", time_html(request.decided_at));
}

Html decision_forms(const Call& call, const AccessRequest& request) {
  Html html;
  if (request.standing != Standing::Accepted)
    html.add(decision_form(call, request, Standing::Accepted, "Accept"));
  if (request.standing != Standing::Rejected)
    html.add(decision_form(call, request, Standing::Rejected, "Reject"));
  return html;
}

Html request_table(const Call& call, std::vector<AccessRequest> requests) {
  // Those that wait stand first, and of them those that have waited longest.
  std::ranges::sort(requests, {}, [](const AccessRequest& request) {
    return std::tuple(request.standing, request.asked_at, request.who);
  });
  constexpr std::array kColumns{Column{"Who", "key"},    Column{"State"},
                                Column{"Asked", "when"}, Column{"Answers", "text"},
                                Column{"Decided"},       Column{"Actions", "get", true}};
  Table table(kColumns);
  for (const AccessRequest& request : requests) {
    const auto* shown = std::ranges::find(kStandings, request.standing, &StandingInfo::standing);
    table.add_row({Html().add(request.who), chip(storage::to_text(request.standing), shown->style),
                   time_html(request.asked_at), answers_html(request), decided_html(request),
                   decision_forms(call, request)});
  }
  return table.html();
}

}  // namespace

Html gate_html(const Call& call, const RepositoryFacts& facts) {
  const RepoId& repo = facts.repository.id;
  const Access* access = call.services.access;
  Html html;
  if (access == nullptr || access->gate_of(repo, facts.repository.gated) == Gate::Open) return html;
  html.add("<section class=\"box gate\"><h2>Gated</h2>", standing_html(call, facts));
  if (holds(call, repo, Right::Admin)) {
    const auto requests = access->book().requests(repo);
    const auto waiting = std::ranges::count(requests, Standing::Pending, &AccessRequest::standing);
    html.add("<p><a href=\"", base_path(call.services), access_place(repo), "\">Who asked</a>");
    if (waiting > 0) html.add(" ", chip(std::to_string(waiting) + " waiting", "warn"));
    html.add("</p>");
  }
  return html.add("</section>\n");
}

Response access_page(const Call& call) {
  const RepoId repo = find_repository(call).id;
  auto requests = access_book(call).requests(repo);
  Html body;
  body.add(R"(<section class="hero"><h1>Access to <a href=")", page_path(call.services, repo),
           "\">", repo.full_name(), "</a></h1></section>\n");
  if (requests.empty()) {
    body.add("<section class=\"empty\"><h2>Nobody has asked</h2></section>\n");
  } else {
    body.add(request_table(call, std::move(requests)));
  }
  return page_response(call, {.title = "Access to " + repo.full_name()}, body);
}

Response ask_access_by_form(const Call& call) {
  Response asked = ask_access(call);
  if (asked.status >= 400) return asked;
  Response response = see_other(call, page_place(call, find_repository(call).id));
  response.subject = asked.subject;
  return response;
}

Response decide_access_by_form(const Call& call) {
  const RepoId repo = find_repository(call).id;
  const Parameters form = form_fields(call);
  const std::string who = field(form, "who");
  const auto standing = storage::parse_standing(field(form, "standing"));
  if (!standing || *standing == Standing::Pending)
    refuse(400, "", "standing: expected accepted or rejected");
  return about(who + " " + std::string(storage::to_text(*standing)), [&] {
    decide_access(call, {.repo = repo, .who = who, .standing = *standing});
    return see_other(call, access_place(repo));
  });
}

}  // namespace holdfast::web
