// Branches as they are made, settings as they take effect, commits as HTML.
#include <doctest/doctest.h>

#include "tests/web/guarded.h"
#include "tests/web/writing.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using tests::body_of;
using tests::json_of;
using tests::kHeader;
using tests::lines;
using tests::Writing;

// A repository with two commits: a.txt is "1" in the first, "2" in the second.
struct Site : Writing {
  Site() {
    create("me/new");
    for (std::string* const tip : {&first, &second}) {
      const std::string content = tip == &first ? "1" : "2";
      const Response made =
          commit("me/new", lines({kHeader, R"({"key":"file","value":{"path":"a.txt","content":")" +
                                               content + R"("}})"}));
      *tip = json_of(made).find("commitOid")->as_string();
    }
  }

  Response branch(const std::string& name, const std::string& body) const {
    return post("/api/models/me/new/branch/" + name, body);
  }

  // The commit of a branch, "" when it is not there.
  std::string tip(const std::string& name) const {
    const Json refs = json_of(get("/api/models/me/new/refs"));
    for (const Json& row : refs.find("branches")->as_array()) {
      if (row.find("name")->as_string() == name) return row.find("targetCommit")->as_string();
    }
    return "";
  }

  std::string first, second;
};

std::string from(const std::string& revision, bool overwrite = false) {
  return R"({"startingPoint":")" + revision + R"(","overwrite":)" +
         (overwrite ? "true}" : "false}");
}

}  // namespace

TEST_CASE("web/hub_refs: a branch starts where it is told to, else at the default branch") {
  const Site hub;
  REQUIRE(hub.post("/api/models/me/new/tag/" + hub.first, R"({"tag":"v1"})").status == 201);

  struct Case {
    const char* name;
    std::string body, commit;
  };

  const Case cases[] = {
      {"bare", "", hub.second},
      {"bare-json", "{}", hub.second},
      {"by-commit", from(hub.first), hub.first},
      {"by-short-commit", from(hub.first.substr(0, 8)), hub.first},
      {"by-tag", from("v1"), hub.first},
      {"by-ref", from("refs/tags/v1"), hub.first},
      {"by-branch", from("by-commit"), hub.first},
      {"by-main", from("main"), hub.second},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    CHECK(hub.branch(c.name, c.body).status == 201);
    CHECK(hub.tip(c.name) == c.commit);
  }
  CHECK(body_of(hub.get("/me/new/resolve/by-commit/a.txt")) == "1");
  CHECK(hub.branch("lost", from("none")).status == 404);
  CHECK(hub.branch("lost", from("none")).header("X-Error-Code") == "RevisionNotFound");
  CHECK(hub.tip("lost").empty());
}

TEST_CASE("web/hub_refs: a branch that is there moves only for who says overwrite") {
  const Site hub;
  REQUIRE(hub.branch("dev", from("main")).status == 201);
  CHECK(hub.branch("dev", from(hub.first)).status == 409);
  CHECK(hub.tip("dev") == hub.second);
  CHECK(hub.branch("dev", from(hub.first, true)).status == 201);
  CHECK(hub.tip("dev") == hub.first);
  // Without a starting point there is nowhere to move it.
  CHECK(hub.branch("dev", R"({"overwrite":true})").status == 200);
  CHECK(hub.tip("dev") == hub.first);
  CHECK(hub.branch("dev", from("none", true)).status == 404);
  CHECK(hub.tip("dev") == hub.first);
}

TEST_CASE("web/hub_refs: an empty branch has neither files nor a past") {
  const Site hub;
  CHECK(hub.branch("empty", R"({"emptyBranch":true})").status == 201);
  CHECK(json_of(hub.get("/api/models/me/new/tree/empty")).as_array().empty());
  CHECK(json_of(hub.get("/api/models/me/new/commits/empty")).as_array().size() == 1);
  CHECK(hub.tip("main") == hub.second);
  // It takes commits, and nobody else's past comes with them.
  REQUIRE(hub.commit("me/new",
                     lines({kHeader, R"({"key":"file","value":{"path":"b.txt","content":"b"}})"}),
                     "empty")
              .status == 200);
  CHECK(json_of(hub.get("/api/models/me/new/commits/empty")).as_array().size() == 2);
  CHECK(hub.get("/me/new/resolve/empty/a.txt").status == 404);
  CHECK(hub.branch("empty", R"({"emptyBranch":true,"overwrite":true})").status == 400);
  CHECK(body_of(hub.get("/me/new/resolve/empty/b.txt")) == "b");
}

TEST_CASE("web/hub_settings: who may see a repository, and have its files, is as settings say") {
  tests::Guarded hub({.anonymous_read = true, .local = false});
  Uploads uploads;
  hub.services.uploads = &uploads;
  const std::string owner = hub.token("owner", "", storage::Right::Admin);
  const std::string reader = hub.token("reader", "", storage::Right::Read, {"me/*"});
  const std::string stranger = hub.token("stranger", "", storage::Right::Read, {"org/*"});
  REQUIRE(hub.ask_as(owner, {.method = "POST",
                             .target = "/api/repos/create",
                             .body = R"({"name":"me/new","license":"mit"})"})
              .status == 200);
  const std::string file = "/me/new/resolve/main/README.md", info = "/api/models/me/new";

  struct Case {
    const char* settings;
    int status;  // of the change
    int anyone_info, anyone_file, stranger_info, reader_file;
    const char* gated;  // as the owner is told
    bool is_private;
  };

  constexpr Case kCases[] = {
      {"{}", 200, 200, 200, 200, 200, "false", false},
      {R"({"visibility":"private"})", 200, 401, 401, 404, 200, "false", true},
      {R"({"visibility":"public"})", 200, 200, 200, 200, 200, "false", false},
      {R"({"private":true})", 200, 401, 401, 404, 200, "false", true},
      {R"({"private":false})", 200, 200, 200, 200, 200, "false", false},
      {R"({"gated":"manual"})", 200, 200, 401, 200, 403, "\"manual\"", false},
      {R"({"gated":"auto"})", 200, 200, 401, 200, 403, "\"auto\"", false},
      // Each leaves the other as it is.
      {R"({"visibility":"private"})", 200, 401, 401, 404, 403, "\"auto\"", true},
      {R"({"gated":false})", 200, 401, 401, 404, 200, "false", true},
      {R"({"visibility":"protected"})", 400, 401, 401, 404, 200, "false", true},
      {R"({"gated":"open"})", 400, 401, 401, 404, 200, "false", true},
      {R"({"gated":true})", 400, 401, 401, 404, 200, "false", true},
      {R"({"visibility":"public","gated":"manual"})", 200, 200, 401, 200, 403, "\"manual\"", false},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.settings));
    const auto changed =
        hub.ask_as(owner, {.method = "PUT", .target = info + "/settings", .body = c.settings});
    CHECK(changed.status == c.status);
    CHECK(hub.get(info).status == c.anyone_info);
    CHECK(hub.get(file).status == c.anyone_file);
    CHECK(hub.get_as(stranger, info).status == c.stranger_info);
    CHECK(hub.get_as(reader, file).status == c.reader_file);
    const Json told = json_of(hub.get_as(owner, info));
    CHECK(to_text(*told.find("gated")) == c.gated);
    CHECK(told.find("private")->as_bool() == c.is_private);
  }
}

TEST_CASE("web/hub_history: a title or message too long for HTML is null in it, and whole beside") {
  struct Case {
    const char* name;
    std::size_t title_bytes, message_bytes;
    bool title, message;  // are there as HTML
  };

  constexpr Case kCases[] = {
      {"org/largest", kFormattedTextMax, kFormattedTextMax, true, true},
      {"org/long-message", 1, kFormattedTextMax + 1, true, false},
      {"org/long-title", kFormattedTextMax + 1, 2, false, true},
      {"org/huge", 1, 4 * kFormattedTextsMax, true, false},
  };
  const tests::Asking hub;
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.name));
    const std::string title(c.title_bytes, 't'), text(c.message_bytes - 1, 'm');
    const std::string message = text + "\n";
    tests::publish(
        *hub.sample.store,
        {.id = c.name, .files = {{"f", "x"}}, .facts = {}, .message = title + "\n\n" + message});
    const Json commits =
        json_of(hub.get("/api/models/" + std::string(c.name) + "/commits/main?expand[]=formatted"));
    const Json& commit = commits.as_array().front();
    CHECK((commit.find("title")->as_string() == title));
    CHECK((commit.find("message")->as_string() == message));
    REQUIRE(commit.find("formatted") != nullptr);
    const Json* const title_html = commit.find_path({"formatted", "title"});
    const Json* const message_html = commit.find_path({"formatted", "message"});
    CHECK((title_html != nullptr) == c.title);
    CHECK((message_html != nullptr) == c.message);
    if (title_html != nullptr) CHECK((title_html->as_string() == title));
    if (message_html != nullptr) CHECK((message_html->as_string() == "<p>" + text + "</p>\n"));
  }
}

TEST_CASE("web/hub_history: an answer formats so much and no more, the next page as much again") {
  constexpr std::size_t kCommits = kCommitsPageFormatted + 10;
  constexpr std::size_t kMessageBytes = std::size_t{30} * 1024;
  const tests::Asking hub;
  std::vector<GitOid> parents;
  for (std::size_t i = 0; i < kCommits; ++i) {
    parents = {tests::publish(*hub.sample.store,
                              {.id = "org/told",
                               .files = {{"f", std::to_string(i)}},
                               .facts = {},
                               .parents = parents,
                               .message = "t\n\n" + std::string(kMessageBytes - 1, 'm') + "\n"})};
  }
  const std::string list = "/api/models/org/told/commits/main";
  CHECK(json_of(hub.get(list)).as_array().size() == kCommits);

  struct Case {
    const char* query;
    std::size_t commits, formatted;
  };

  constexpr std::size_t kFit = kFormattedTextsMax / (kMessageBytes + 1);
  constexpr Case kCases[] = {
      {"?expand[]=formatted", kCommitsPageFormatted, kFit},
      {"?expand[]=formatted&limit=100", kCommitsPageFormatted, kFit},
      {"?expand[]=formatted&limit=3", 3, 3},
      {"?expand[]=formatted&cursor=50", 10, 10},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.query));
    const Json commits = json_of(hub.get(list + c.query));
    CHECK(commits.as_array().size() == c.commits);
    std::size_t formatted = 0;
    for (const Json& commit : commits.as_array()) {
      formatted += commit.find_path({"formatted", "message"}) != nullptr ? 1U : 0U;
    }
    CHECK(formatted == c.formatted);
  }
}

}  // namespace holdfast::web
