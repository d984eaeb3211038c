// A browser at the pages of a guarded hub: it keeps the session's cookie, and sends forms as
// browsers do.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/web/guarded.h"
#include "web/url.h"

namespace holdfast::tests {

using Fields = std::vector<std::pair<std::string, std::string>>;

inline std::string form_of(const Fields& fields) {
  std::string body;
  for (const auto& [name, value] : fields) {
    if (!body.empty()) body += '&';
    body += name + "=" + web::percent_encode(value);
  }
  return body;
}

struct Browser {
  explicit Browser(const Guarded& site) : hub(site) {}

  const Guarded& hub;
  std::string cookie = {};  // "name=value"

  web::Response get(std::string_view target) const {
    Ask what{.target = target, .headers = {{"Accept", "text/html,*/*;q=0.8"}}};
    if (!cookie.empty()) what.headers.push_back({"Cookie", cookie});
    return hub.ask(what);
  }

  web::Response post(std::string_view target, const Fields& fields,
                     std::vector<web::Header> headers = {}) const {
    const std::string body = form_of(fields);
    headers.push_back({"Accept", "text/html,*/*;q=0.8"});
    headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
    if (!cookie.empty()) headers.push_back({"Cookie", cookie});
    return hub.ask(
        {.method = "POST", .target = target, .headers = std::move(headers), .body = body});
  }

  web::Response sign_in(const std::string& token, const std::string& next = "/") {
    web::Response response = post("/-/login", {{"token", token}, {"next", next}});
    const std::string set(response.header("Set-Cookie"));
    cookie = set.substr(0, set.find(';'));
    return response;
  }

  // The key in the forms of a page.
  std::string form_key() const {
    const std::string html = body_of(get("/-/tokens"));
    const std::string before = R"(name="form_key" value=")";
    const auto at = html.find(before);
    return at == std::string::npos ? "" : html.substr(at + before.size(), 64);
  }

  // A form of one of our pages, sent.
  web::Response send(std::string_view target, Fields fields) const {
    fields.emplace_back("form_key", form_key());
    return post(target, fields,
                {{"Origin", "http://127.0.0.1"}, {"Sec-Fetch-Site", "same-origin"}});
  }
};

inline bool shows(const web::Response& page, std::string_view text) {
  return body_of(page).find(text) != std::string::npos;
}

}  // namespace holdfast::tests
