// Writing while others write, over a restart, and beyond what a server's memory holds.
#include <algorithm>
#include <array>
#include <atomic>
#include <initializer_list>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/web/guarded.h"
#include "tests/web/writing.h"
#include "web/git_attributes.h"
#include "web/memory_budget.h"

namespace holdfast::web {
namespace {

using tests::Ask;
using tests::body_of;
using tests::Guarded;
using tests::json_of;
using tests::kHeader;
using tests::lines;
using tests::Writing;

std::string message_of(const Response& response) {
  return std::string(response.header("X-Error-Message"));
}

// Behind access control, with uploads.
struct GuardedWriting : Guarded {
  explicit GuardedWriting(web::AccessOptions options = {.anonymous_read = true, .local = false})
      : Guarded(options) {
    services.uploads = &uploads;
  }

  Response post_as(const std::string& token, std::string_view target, std::string_view body) const {
    return ask_as(token, {.method = "POST", .target = target, .body = body});
  }

  storage::RepositoryRules rules(const std::string& repo) {
    return book().rules(storage::parse_repo_id(repo));
  }

  Digest secret = sha256(as_bytes("a secret of the test"));
  Uploads uploads{secret};
};

std::string upload_target(const Response& batch) {
  const Json json = json_of(batch);
  const Json* href =
      json.find("objects")->as_array().front().find_path({"actions", "upload", "href"});
  return href == nullptr ? "" : href->as_string().substr(std::string("http://127.0.0.1").size());
}

}  // namespace

TEST_CASE("web/lfs_upload: an upload URL that we did not sign tells nothing of a repository") {
  GuardedWriting hub({.anonymous_read = true, .local = false});
  hub.set_private("org/tiny");
  for (const std::string_view method : {"PUT", "POST"}) {
    CAPTURE(std::string(method));
    std::vector<std::string> answers;
    for (const std::string repo : {"org/tiny", "org/none", "gpt2"}) {
      const std::string target =
          "/" + repo + ".git/info/lfs/objects/" + std::string(64, 'a') + "?size=1&signature=1";
      const Response answer = hub.ask({.method = method, .target = target, .body = "x"});
      answers.push_back(std::to_string(answer.status) + " " + body_of(answer));
      CHECK(answer.status == 403);
    }
    CHECK(answers[0] == answers[1]);
    CHECK(answers[0] == answers[2]);
  }
}

TEST_CASE("web/hub_create: a request that fails leaves the rules of its name alone") {
  GuardedWriting hub;
  const std::string writer = hub.token("w", "", storage::Right::Write, {"org/*", "me/*"});
  hub.book().put_rules(storage::parse_repo_id("org/gone"),
                       {.is_private = true, .gate = storage::Gate::Manual});
  const storage::RepositoryRules before = hub.rules("org/gone");

  struct Case {
    const char* target;
    const char* body;
    int status;
  };

  constexpr Case kCases[] = {
      {"/api/repos/create", R"({"name":"org/gone","files":[{"path":"../x","content":""}]})", 400},
      {"/api/repos/create",
       R"({"name":"org/gone","files":[{"path":"a","content":""},{"path":"a/b","content":""}]})",
       400},
      {"/api/repos/move", R"({"fromRepo":"me/none","toRepo":"org/gone"})", 404},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.body));
    CHECK(hub.post_as(writer, c.target, c.body).status == c.status);
    CHECK(hub.rules("org/gone") == before);
  }
  // Who may only write opens nothing that an administrator closed.
  CHECK(hub.post_as(writer, "/api/repos/create", R"({"name":"org/gone"})").status == 200);
  CHECK(hub.rules("org/gone") == before);
}

TEST_CASE("web/hub_create: of many at once one makes the repository, with its rules") {
  GuardedWriting hub;
  const std::string writer = hub.token("w", "", storage::Right::Write, {"me/*"});
  constexpr int kRounds = 8;
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "me/new" + std::to_string(round);
    std::vector<int> statuses(4);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < statuses.size(); ++i) {
      threads.emplace_back([&, i] {
        const std::string body =
            R"({"name":")" + name + R"(","private":)" + (i % 2 == 0 ? "true" : "false") +
            R"(,"files":[{"path":"who","content":")" + std::to_string(i) + R"("}]})";
        statuses[i] = hub.post_as(writer, "/api/repos/create", body).status;
      });
    }
    for (std::thread& thread : threads) thread.join();
    CAPTURE(name);
    CHECK(std::ranges::count(statuses, 200) == 1);
    CHECK(std::ranges::count(statuses, 409) == 3);
    const auto winner = std::ranges::find(statuses, 200) - statuses.begin();
    CHECK(body_of(hub.get_as(writer, "/" + name + "/resolve/main/who")) == std::to_string(winner));
    CHECK(hub.rules(name).is_private == (winner % 2 == 0));
  }
}

TEST_CASE("web/hub_create: a name in another case is taken at once") {
  const Writing hub;
  REQUIRE(hub.post("/api/repos/create", R"({"name":"me/first"})").status == 200);
  const Response refused = hub.post("/api/repos/create", R"({"name":"Me/First"})");
  CHECK(refused.status == 409);
  CHECK(json_of(refused).find("url")->as_string() == "http://127.0.0.1/me/first");
  REQUIRE(hub.post("/api/repos/create", R"({"name":"me/second"})").status == 200);
  const auto move = [&](const char* from, const char* to) {
    return hub
        .post("/api/repos/move",
              R"({"fromRepo":")" + std::string(from) + R"(","toRepo":")" + to + R"("})")
        .status;
  };
  CHECK(move("me/second", "me/FIRST") == 409);
  CHECK(move("me/second", "me/Second") == 200);
  CHECK(move("me/Second", "me/third") == 200);
  // Gone under its old names.
  CHECK(hub.post("/api/repos/create", R"({"name":"me/SECOND"})").status == 200);
  std::vector<int> statuses(4);
  std::vector<std::thread> threads;
  constexpr std::array<std::string_view, 4> kNames{"me/case", "me/Case", "me/cASE", "Me/case"};
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    threads.emplace_back([&, i] {
      statuses[i] =
          hub.post("/api/repos/create", R"({"name":")" + std::string(kNames[i]) + R"("})").status;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(std::ranges::count(statuses, 200) == 1);
  CHECK(std::ranges::count(statuses, 409) == 3);
}

TEST_CASE("web/hub_refs: a branch below or above another is refused") {
  const Writing hub;
  hub.create("me/new");
  const auto branch = [&](const std::string& name) {
    return hub.post("/api/models/me/new/branch/" + name, "").status;
  };
  CHECK(branch("dev") == 201);
  CHECK(branch("dev%2Fone") == 409);
  CHECK(branch("side%2Fone") == 201);
  CHECK(branch("side") == 409);
  CHECK(hub.post("/api/models/me/new/branch/side", R"({"emptyBranch":true})").status == 409);
  CHECK(branch("side%2Ftwo") == 201);
}

TEST_CASE("web/commit: a squash forgets nothing that others commit meanwhile") {
  const Writing hub;
  hub.create("me/new");
  REQUIRE(hub.post("/api/models/me/new/branch/side", "").status == 201);
  constexpr int kCommits = 24;
  std::vector<std::string> made;
  std::atomic<bool> done{false};
  std::atomic<int> squashed{0};
  std::size_t asked = 0;
  std::thread writer([&] {
    for (int i = 0; i < kCommits || squashed == 0; ++i, ++asked) {
      const std::string file =
          R"({"key":"file","value":{"path":"a","content":")" + std::to_string(i) + R"("}})";
      const Response answer = hub.commit("me/new", lines({kHeader, file}));
      if (answer.status == 200) made.push_back(json_of(answer).find("commitOid")->as_string());
    }
    done = true;
  });
  for (int i = 0; !done; ++i) {
    const std::string file =
        R"({"key":"file","value":{"path":"b","content":")" + std::to_string(i) + R"("}})";
    hub.commit("me/new", lines({kHeader, file}), "side");
    if (hub.post("/api/models/me/new/super-squash/side", "").status == 200) ++squashed;
  }
  writer.join();
  CHECK(made.size() == asked);
  for (const std::string& commit : made) {
    CAPTURE(commit);
    CHECK(hub.get("/api/models/me/new/revision/" + commit).status == 200);
  }
}

TEST_CASE("web/commit: whose commit it is") {
  GuardedWriting hub;
  hub.book().put_user({.name = "ann", .grants = {{"me/*", storage::Right::Write}}});
  const std::string ann = hub.token("a", "ann", storage::Right::Write);
  const std::string nobody = hub.token("n", "", storage::Right::Write, {"me/*"});
  REQUIRE(hub.post_as(ann, "/api/repos/create", R"({"name":"me/new"})").status == 200);
  const auto author = [&](const std::string& token) {
    const Response answer =
        hub.post_as(token, "/api/models/me/new/commit/main", std::string(kHeader));
    REQUIRE(answer.status == 200);
    const auto oid = parse_git_oid(json_of(answer).find("commitOid")->as_string());
    const std::string text = hub.services.store.catalog().find_git_object(*oid)->bytes;
    const auto at = text.find("\nauthor ") + 8;
    return text.substr(at, text.find('>', at) + 1 - at);
  };
  CHECK(author(ann) == "ann <ann@users.noreply.127.0.0.1>");
  CHECK(author(nobody) == "Holdfast <holdfast@localhost>");
}

TEST_CASE("web/uploads: what came for a repository counts after a restart, and its URLs do") {
  GuardedWriting hub;
  const std::string writer = hub.token("w", "", storage::Right::Write, {"me/*"});
  for (const char* name : {"me/new", "me/other"}) {
    const std::string body = R"({"name":")" + std::string(name) + R"("})";
    REQUIRE(hub.post_as(writer, "/api/repos/create", body).status == 200);
  }
  const std::string bytes = tests::pattern_bytes(300'000);
  const std::string oid = to_hex(sha256(as_bytes(bytes)));
  const std::string target = upload_target(
      hub.post_as(writer, "/me/new.git/info/lfs/objects/batch",
                  R"({"operation":"upload","objects":[{"oid":")" + oid + R"(","size":300000}]})"));
  REQUIRE(!target.empty());
  const auto put = [&] {
    return hub.ask({.method = "PUT", .target = target, .body = bytes}).status;
  };
  const auto commit = [&](const char* repo) {
    return hub
        .post_as(writer, "/api/models/" + std::string(repo) + "/commit/main",
                 lines({kHeader,
                        R"({"key":"lfsFile","value":{"path":"w.bin","oid":")" + oid + R"("}})"}))
        .status;
  };
  Uploads other(sha256(as_bytes("another secret"))), later(hub.secret);
  hub.services.uploads = &other;
  CHECK(put() == 403);
  hub.services.uploads = &later;
  CHECK(put() == 200);
  hub.services.uploads = &other;
  CHECK(commit("me/other") == 400);
  CHECK(commit("me/new") == 200);
}

TEST_CASE("web/git_lfs: one content that is asked for twice is sent once") {
  const Writing hub;
  hub.create("me/new");
  const std::string one = R"({"oid":")" + std::string(64, 'a') + R"(","size":70000000})";
  const std::string two = R"({"oid":")" + std::string(64, 'b') + R"(","size":70000000})";
  const Json answer =
      json_of(hub.post("/me/new.git/info/lfs/objects/batch",
                       R"({"operation":"upload","transfers":["basic","multipart"],"objects":[)" +
                           one + "," + two + "," + one + "]}"));
  CHECK(answer.find("transfer")->as_string() == "multipart");
  const Json::Array& entries = answer.find("objects")->as_array();
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].find("actions") != nullptr);
  CHECK(entries[1].find("actions") != nullptr);
  CHECK(entries[2].find("actions") == nullptr);
  CHECK(entries[2].find("error") == nullptr);
  CHECK(entries[2].find("oid")->as_string() == std::string(64, 'a'));
}

TEST_CASE("web/git_lfs: parts grow with a batch, so that its answer has an end") {
  const Writing hub;
  hub.create("me/new");
  constexpr std::uint64_t kSize = std::uint64_t{1} << 40U;
  constexpr std::size_t kObjects = 300;
  std::string objects;
  for (std::size_t i = 0; i < kObjects; ++i) {
    std::string oid = std::to_string(i);
    oid.insert(0, 64 - oid.size(), '0');
    objects +=
        (i == 0 ? "" : ",") + (R"({"oid":")" + oid + R"(","size":)") + std::to_string(kSize) + "}";
  }
  const Json answer = json_of(
      hub.post("/me/new.git/info/lfs/objects/batch",
               R"({"operation":"upload","transfers":["multipart"],"objects":[)" + objects + "]}"));
  std::size_t parts = 0;
  for (const Json& entry : answer.find("objects")->as_array()) {
    const Json* header = entry.find_path({"actions", "upload", "header"});
    REQUIRE(header != nullptr);
    const std::size_t own = header->as_object().size() - 1;
    const std::uint64_t part_bytes = std::stoull(header->find("chunk_size")->as_string());
    CHECK(own == (kSize + part_bytes - 1) / part_bytes);
    parts += own;
  }
  CHECK(parts <= kBatchPartsMax + kObjects);
  CHECK(parts > kBatchPartsMax / 2);
}

TEST_CASE("web/hub_commit: a path is looked at when it comes, not when all has come") {
  const Writing hub;
  hub.create("me/new");
  const std::string long_path(10'000, 'p');
  for (const std::string& line :
       {R"({"key":"deletedFile","value":{"path":")" + long_path + R"("}})",
        R"({"key":"deletedFolder","value":{"path":")" + long_path + R"("}})",
        R"({"key":"lfsFile","value":{"path":"a","oldPath":")" + long_path + R"("}})",
        R"({"key":"file","value":{"path":"a","oldPath":")" + long_path + R"("}})"}) {
    CAPTURE(line.substr(0, 40));
    const Response answer = hub.commit("me/new", lines({kHeader, line, "{"}));
    CHECK(answer.status == 400);
    CHECK(message_of(answer).find("expected 1 to 4096 bytes") != std::string::npos);
  }
}

TEST_CASE("web/hub_commit: the lines of all commits together have a bound") {
  Writing hub;
  hub.create("me/new");
  MemoryBudget budget(1000);
  hub.services.commit_lines = &budget;
  const std::string file =
      R"({"key":"file","value":{"path":"a","content":")" + std::string(800, 'x') + R"("}})";
  CHECK(hub.commit("me/new", lines({kHeader, file})).status == 200);
  // Another commit holds some of it.
  REQUIRE(budget.take(500));
  const Response busy = hub.commit("me/new", lines({kHeader, file}));
  CHECK(busy.status == 503);
  CHECK(busy.header("Retry-After") == "5");
  budget.give_back(500);
  CHECK(hub.commit("me/new", lines({kHeader, "", file, "{"})).status == 400);
  CHECK(hub.commit("me/new", lines({kHeader, file, file})).status == 200);
  // All was given back.
  CHECK(budget.take(1000));
}

TEST_CASE("web/hub_preupload: patterns of strangers cost what is allowed") {
  const Writing hub;
  hub.create("me/new");
  const auto ask = [&](const std::string& attributes, std::size_t files) {
    std::string list;
    for (std::size_t i = 0; i < files; ++i) {
      list += (i == 0 ? "" : ",") + (R"({"path":"f)" + std::to_string(i)) + "/" +
              std::string(4000, 'a') + R"(","size":3,"sample":"aGk="})";
    }
    return hub
        .post("/api/models/me/new/preupload/main",
              R"({"gitAttributes":")" + attributes + R"(","files":[)" + list + "]}")
        .status;
  };
  std::string slow;
  for (int i = 0; i < 2000; ++i) slow += "*a" + std::string(400, '?') + R"(b filter=lfs\n)";
  CHECK(ask(slow, 3) == 413);
  // One that fails early costs little, however many there are.
  std::string early;
  for (int i = 0; i < 2000; ++i) early += "*a" + std::string(400, '?') + R"(b/*c filter=lfs\n)";
  CHECK(ask(early, 3) == 200);
  CHECK(ask(std::string(kAttributesMax + 1, 'x'), 1) == 413);
  std::string plain;
  for (int i = 0; i < 20'000; ++i) plain += "/file" + std::to_string(i) + R"( filter=lfs\n)";
  CHECK(ask(plain, 20) == 200);
}

TEST_CASE("web/hub_commit: .gitattributes stays git's own, and tells each path once") {
  const Writing hub;
  hub.create("me/new");
  const std::string oid = to_hex(hub.sample.store->blobs().put(as_bytes("weights")));
  const auto lfs = [&](const std::string& path) {
    return R"({"key":"lfsFile","value":{"path":")" + path + R"(","oid":")" + oid + R"("}})";
  };
  CHECK(hub.commit("me/new", lines({kHeader, lfs(".gitattributes")})).status == 400);
  const std::string large = R"({"key":"file","value":{"path":".gitattributes","content":")" +
                            std::string(kAttributesMax + 1, 'x') + R"("}})";
  CHECK(hub.commit("me/new", lines({kHeader, large})).status == 413);
  REQUIRE(hub.commit("me/new", lines({kHeader, lfs("#d/w.xyz"), lfs("#d/w.xyz")})).status == 200);
  REQUIRE(hub.commit("me/new", lines({kHeader, lfs("#d/w.xyz")})).status == 200);
  CHECK(body_of(hub.get("/me/new/resolve/main/.gitattributes")) ==
        GitAttributes::defaults() + "/#d/w.xyz filter=lfs diff=lfs merge=lfs -text\n");
  // Where a directory has its name there can be no such file.
  REQUIRE(hub.commit("me/new",
                     lines({kHeader, R"({"key":"deletedFile","value":{"path":".gitattributes"}})",
                            R"({"key":"file","value":{"path":".gitattributes/a","content":"x"}})"}))
              .status == 200);
  CHECK(hub.commit("me/new", lines({kHeader, lfs("v.xyz")})).status == 400);
  const Json asked = json_of(
      hub.post("/api/models/me/new/preupload/main",
               R"({"files":[{"path":".gitattributes","size":20000000,"sample":"AAECAw=="}]})"));
  CHECK(asked.find("files")->as_array().front().find("uploadMode")->as_string() == "regular");
}

TEST_CASE("web/write_access: a name that begins like an address is a name") {
  const Writing hub;
  hub.create("me/new");
  for (const auto& [host, status] :
       {std::pair{"127.0.0.1:80", 200}, std::pair{"127.9.9.9", 200},
        std::pair{"127.rebound.example", 403}, std::pair{"127.0.0.1.example.org:80", 403}}) {
    CAPTURE(std::string(host));
    const std::vector<Header> headers{{"Host", host}};
    CHECK(handle({.method = "POST",
                  .target = "/api/models/me/new/preupload/main",
                  .headers = headers,
                  .body = R"({"files":[]})",
                  .loopback = true},
                 hub.services)
              .status == status);
  }
}

}  // namespace holdfast::web
