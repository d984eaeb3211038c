// What a hostile writer sends.
#include <doctest/doctest.h>

#include "tests/web/writing.h"
#include "web/internal/intake.h"
#include "web/memory_budget.h"
#include "web/routes.h"

namespace holdfast::web {
namespace {

using tests::Writing;

constexpr std::string_view kHeader = R"({"key":"header","value":{"summary":"Change"}})";

std::string commit_of(std::string_view operation) {
  return std::string(kHeader) + "\n" + std::string(operation) + "\n";
}

}  // namespace

TEST_CASE("web/attack: no path of a commit leads out of the tree, or into .git") {
  const Writing hub;
  hub.create("me/new");
  for (const char* path : {"../x",
                           "a/../../x",
                           "/etc/passwd",
                           "a//b",
                           "./x",
                           "a/./b",
                           "",
                           "a/",
                           ".git/config",
                           ".GIT/hooks/x",
                           "a/.Git/b",
                           "git~1/x",
                           ".git./x",
                           ".git /x",
                           ".git:x/y",
                           ".g\\u200cit/config",
                           ".gitmodules",
                           "a/.GITMODULES",
                           "x\\u0000y",
                           "x\\ny",
                           "x\\u007fy",
                           "\\ufeff.git/x",
                           "x\\t/y"}) {
    CAPTURE(std::string(path));
    for (const char* form : {R"({"key":"file","value":{"path":"%","content":"x"}})",
                             R"({"key":"deletedFile","value":{"path":"%"}})",
                             R"({"key":"deletedFolder","value":{"path":"%"}})",
                             R"({"key":"file","value":{"path":"new.txt","oldPath":"%"}})"}) {
      const std::string_view text = form;
      const auto hole = text.find('%');
      const std::string operation =
          std::string(text.substr(0, hole)) + path + std::string(text.substr(hole + 1));
      const int status = hub.commit("me/new", commit_of(operation)).status;
      CHECK(status >= 400);
      CHECK(status < 500);
    }
  }
  CHECK(tests::json_of(hub.get("/api/models/me/new/tree/main?recursive=true")).as_array().size() ==
        1);
}

TEST_CASE("web/attack: NDJSON bombs are refused line by line") {
  Writing hub;
  hub.create("me/new");
  for (const std::string& body :
       {commit_of(std::string(100'000, '[')),
        commit_of("{\"key\":" + std::string(5000, '[') + std::string(5000, ']') + "}"),
        commit_of("{}"), commit_of("[]"), commit_of("7"), commit_of("null"), commit_of("\"x\""),
        commit_of(R"({"key":"file"})"), commit_of(R"({"key":"file","value":[]})"),
        commit_of(R"({"key":"file","value":{"path":"a","content":7}})"),
        commit_of(R"({"key":"file","value":{"path":"a","content":"=","encoding":"base64"}})"),
        commit_of(R"({"key":"file","value":{"path":"a","content":"","encoding":"gzip"}})"),
        commit_of(R"({"key":"lfsFile","value":{"path":"a","oid":"../../x"}})"), commit_of(kHeader),
        std::string(kHeader).substr(0, 20), std::string("\xff\xfe\n"), std::string(10'000, '\n'),
        std::string()}) {
    CAPTURE(body.substr(0, 60));
    const int status = hub.commit("me/new", body).status;
    CHECK(status >= 400);
    CHECK(status < 500);
  }
  CHECK(hub.commit("me/new", commit_of(R"({"key":"file","value":{"path":"a","content":"x"}})"))
            .status == 200);
}

TEST_CASE("web/attack: the lines of all commits together have a bound") {
  Writing hub;
  hub.create("me/new");
  MemoryBudget budget(1000);
  hub.services.commit_lines = &budget;
  const std::string target = "/api/models/me/new/commit/main";
  const Request request{.method = "POST", .target = target, .trusted = true};
  const auto found = *match("POST", target);
  const std::string long_line = R"({"key":"file","value":{"path":"a","content":")";
  {
    Intake first(request, hub.services, found);
    REQUIRE(first.put(std::string(kHeader) + "\n" + long_line + std::string(600, 'x')));
    Intake second(request, hub.services, found);
    CHECK_FALSE(second.put(std::string(kHeader) + "\n" + long_line + std::string(600, 'y')));
    const Response busy = second.finish();
    CHECK(busy.status == 503);
    CHECK(busy.header("Retry-After") == "5");
    // A connection that ends gives back what it held.
  }
  Intake third(request, hub.services, found);
  REQUIRE(third.put(std::string(kHeader) + "\n" + long_line + std::string(600, 'z') + "\"}}\n"));
  REQUIRE(third.put(R"({"key":"file","value":{"path":"b","content":")" + std::string(600, 'z') +
                    "\"}}\n"));
  CHECK(third.finish().status == 200);
  CHECK(budget.take(1000));
}

}  // namespace holdfast::web
