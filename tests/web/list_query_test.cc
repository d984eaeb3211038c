// Odd queries of lists.
#include <doctest/doctest.h>

#include "tests/web/asking.h"

namespace holdfast::web {

TEST_CASE("web/list_query: a range of sizes has numbers as its bounds") {
  struct Case {
    std::string_view range;
    int status;
  };

  constexpr Case kCases[] = {
      {"min:0,max:6.5B", 200}, {"max:1e3k", 200},     {"min:1T", 200},    {"min:nan", 400},
      {"max:inf", 400},        {"max:infinity", 400}, {"max:1e400", 400}, {"max:1e308T", 400},
      {"min:-1", 400},         {"min:", 400},         {"min:6X", 400},    {"6B", 400},
  };
  const tests::Asking hub;
  for (const Case& c : kCases) {
    CAPTURE(c.range);
    CHECK(hub.get("/api/models?num_parameters=" + std::string(c.range)).status == c.status);
  }
}

TEST_CASE("web/list_query: a page leads to the next one, however its own place was spelled") {
  struct Case {
    std::string_view query, link;
  };

  constexpr std::string_view kHost = "<http://127.0.0.1/api/models?";
  constexpr Case kCases[] = {
      {"limit=1", "limit=1&"},
      {"cursor=A&limit=1", "limit=1&"},
      {"cursor[]=A&limit=1", "limit=1&"},
      {"limit=1&%63ursor=A", "limit=1&"},
      {"limit=1&cursor=A&cursor=B", "limit=1&"},
      {"limit=1&cursors=A", "limit=1&cursors=A&"},
      // What would end the link does not, and is asked for again.
      {"limit=1&x=<a>\"b", "limit=1&x=%3Ca%3E%22b&"},
  };
  const tests::Asking hub;
  for (const Case& c : kCases) {
    CAPTURE(c.query);
    const Response page = hub.get("/api/models?" + std::string(c.query));
    CHECK(page.status == 200);
    CHECK(std::string(page.header("Link")) ==
          std::string(kHost) + std::string(c.link) + "cursor=Example%2FCamelCase>; rel=\"next\"");
  }
}

}  // namespace holdfast::web
