#include "web/absent_routes.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include <doctest/doctest.h>

#include "tests/web/asking.h"
#include "web/internal/gate.h"
#include "web/routes.h"

namespace holdfast::web {
namespace {

using tests::Asking;
using tests::json_of;

const std::string kPage = HOLDFAST_SOURCE_DIR "/docs/hub-api.md";
constexpr std::string_view kBegin = "<!-- Every route: made from the tables -->\n";
constexpr std::string_view kEnd = "<!-- end of every route -->\n";

std::string target_of(std::string_view pattern) {
  std::string target(pattern);
  for (const auto& [hole, text] : {std::pair{"{kinds}", "models"}, std::pair{"{repo}", "org/tiny"},
                                   std::pair{"{rev}", "main"}, std::pair{"{path}", "x/y"}}) {
    if (const auto at = target.find(hole); at != target.npos)
      target.replace(at, std::string_view(hole).size(), text);
  }
  return target;
}

struct NeedText {
  Need need;
  std::string_view text;
};

constexpr NeedText kNeedTexts[] = {
    {Need::Nothing, "nothing"},
    {Need::Browse, "reading at all"},
    {Need::Repository, "seeing the repository"},
    {Need::Files, "seeing it, and having passed its gate"},
    {Need::Change, "write"},
    {Need::Manage, "admin on the repository"},
    {Need::SignIn, "being signed in"},
    {Need::Watch, "reading every repository"},
    {Need::Operate, "an administrator"},
    {Need::Trust, "the Unix socket"},
};

std::string_view need_of(std::string_view route) {
  Need need = Need::Trust;
  for (const RouteNeed& row : route_needs()) {
    if (row.route == route) need = row.need;
  }
  for (const NeedText& row : kNeedTexts) {
    if (row.need == need) return row.text;
  }
  return "?";
}

std::string tables() {
  std::ostringstream text;
  text << "| method | path | needs | on demand |\n|---|---|---|---|\n";
  for (const Route& route : routes()) {
    text << "| `" << route.method << "` | `" << route.pattern << "` | " << need_of(route.name)
         << " | " << (route.pulls ? "yes" : "") << " |\n";
  }
  text << "\nThe public hub's, absent on purpose; each is `404` JSON that says why:\n\n"
          "| path | why |\n|---|---|\n";
  for (const AbsentRoute& route : absent_routes())
    text << "| `" << route.pattern << "` | " << route.why << " |\n";
  return text.str();
}

std::string read_page() {
  std::ifstream in(kPage);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("web/absent_routes: who asks for one is told why, in JSON, and no other row answers") {
  const Asking hub;
  for (const AbsentRoute& route : absent_routes()) {
    CAPTURE(route.pattern);
    const Response got =
        hub.ask({.target = target_of(route.pattern), .headers = {{"Accept", "text/html,*/*"}}});
    CHECK(got.status == 404);
    CHECK(got.route == "unknown-api");
    CHECK(got.header("Content-Type") == "application/json; charset=utf-8");
    const std::string error = json_of(got).find("error")->as_string();
    CHECK(error == "Not served here: " + std::string(route.why));
  }
  CHECK(find_absent_route("/api/models/org/tiny") == nullptr);
  CHECK(find_absent_route("/api/nonsense") == nullptr);
}

TEST_CASE("web/absent_routes: docs/hub-api.md lists every route") {
  const std::string page = read_page();
  const auto begin = page.find(kBegin);
  const auto end = page.find(kEnd);
  REQUIRE(begin != page.npos);
  REQUIRE(end != page.npos);
  const auto from = begin + kBegin.size();
  const std::string wanted = tables();
  if (page.substr(from, end - from) == wanted) return;
  if (std::getenv("HOLDFAST_ACCEPT") == nullptr) {
    FAIL_CHECK(
        "the page differs from the tables: HOLDFAST_ACCEPT=1 build/release/tests/web/web_test "
        "-tc='web/absent_routes: docs*' writes it anew");
    return;
  }
  std::ofstream(kPage) << page.substr(0, from) << wanted << page.substr(end);
  std::cout << "SKIPPED: docs/hub-api.md was written anew\n";
}

}  // namespace holdfast::web
