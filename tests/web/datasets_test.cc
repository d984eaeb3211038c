// A dataset is read and written as a model is, below paths of its own.
#include <doctest/doctest.h>

#include "tests/web/made_push.h"
#include "tests/web/writing.h"

namespace holdfast::web {
namespace {

using tests::Ask;
using tests::Asking;
using tests::body_of;
using tests::json_of;
using tests::kHeader;
using tests::lines;
using tests::Writing;

bool holds(const std::string& all, std::string_view part) {
  return all.find(part) != std::string::npos;
}

void replace_all(std::string& in, std::string_view part, std::string_view with) {
  for (auto at = in.find(part); at != std::string::npos; at = in.find(part, at + with.size()))
    in.replace(at, part.size(), with);
}

// How the two kinds are called in requests; both hold the same in a repository of another name, so
// that nobody answers for the other.
struct Kind {
  std::string type, id;

  bool dataset() const { return type == "dataset"; }

  std::string page() const { return (dataset() ? "/datasets/" : "/") + id; }

  std::string api() const { return "/api/" + type + "s/" + id; }
};

const Kind kKinds[] = {{"model", "lab/one"}, {"dataset", "lab/two"}};

// With what the paths of a dataset have more than those of a model taken away.
std::string as_model(std::string body) {
  replace_all(body, "datasets/", "");
  replace_all(body, "api/models/", "api/");
  replace_all(body, "lab/two", "lab/one");
  return body;
}

void publish_kinds(storage::Store& store) {
  for (const Kind& kind : kKinds) {
    const std::string id = kind.type + "/" + kind.id;
    const std::vector<tests::SampleFile> first{{"README.md", "# Data\n"}, {"gone.csv", "1\n"}};
    const GitOid parent = tests::publish(store, {.id = id, .files = first, .facts = {}});
    tests::publish(store, {.id = id,
                           .files = {{"README.md", "# Data\n"},
                                     {"deep/er/table.csv", "a,b\n"},
                                     {"rows.parquet", "PAR1", true}},
                           .facts = {},
                           .parents = {parent}});
  }
}

}  // namespace

TEST_CASE("web/datasets: what is read of a model is read of a dataset") {
  struct Case {
    const char* path;  // below the API's path of a repository, or its page's
    bool api;
    const char* holds;
    std::string_view body = "";  // of a POST
  };

  constexpr Case kCases[] = {
      {"/tree/main", true, "\"rows.parquet\""},
      {"/tree/main?recursive=true&expand=true", true, "\"deep/er/table.csv\""},
      {"/tree/main/deep", true, "\"deep/er\""},
      {"/tree/main?limit=1", true, "\"README.md\""},
      {"/treesize/main/deep", true, "4"},
      {"/paths-info/main", true, "\"rows.parquet\"", "paths=rows.parquet&paths=deep&expand=true"},
      {"/refs?include_prs=1", true, "\"refs/pr/1\""},
      {"/commits/main", true, "\"Add files\""},
      {"/commits/main?expand[]=formatted&limit=1", true, "\"formatted\""},
      {"/compare/main%5E..main?raw=true", true, "D\tgone.csv"},
      {"/compare/main", true, "diff --git a/gone.csv b/gone.csv"},
      {"/lfs-files", true, "\"rows.parquet\""},
      {"/discussions", true, "\"discussions\""},
      {"/auth-check", true, "{}"},
      {"/revision/main?expand=siblings&expand=author", true, "\"deep/er/table.csv\""},
      {"/resolve/main/rows.parquet", false, "PAR1"},
      {"/raw/main/rows.parquet", false, "version https://git-lfs"},
      {".git/info/refs?service=git-upload-pack", false, "refs/heads/main"},
  };
  const Asking hub;
  publish_kinds(*hub.sample.store);
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.path));
    Response answers[2];
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string target = (c.api ? kKinds[i].api() : kKinds[i].page()) + c.path;
      answers[i] = hub.ask({.method = c.body.empty() ? "GET" : "POST",
                            .target = target,
                            .headers = {{"Host", "h"}},
                            .body = c.body});
      CHECK(answers[i].status == 200);
      CHECK(holds(body_of(answers[i]), c.holds));
    }
    CHECK(as_model(std::string(answers[1].header("Link"))) ==
          as_model(std::string(answers[0].header("Link"))));
    CHECK(answers[1].header("X-Repo-Commit") == answers[0].header("X-Repo-Commit"));
    const std::string one = as_model(body_of(answers[0])), two = as_model(body_of(answers[1]));
    // Ids that follow from the name.
    if (!holds(two, "\"_id\"")) CHECK(two == one);
  }
  CHECK(hub.get("/api/datasets/lab/one/tree/main").status == 404);
  CHECK(hub.get("/api/models/lab/two/tree/main").status == 404);
  CHECK(hub.get("/lab/two/resolve/main/rows.parquet").status == 404);
}

TEST_CASE("web/datasets: pages of a dataset lead to its own files, and say how to use it") {
  const Asking hub;
  publish_kinds(*hub.sample.store);
  const auto page = [&](const std::string& target) {
    const Response got = hub.ask({.target = target, .headers = {{"Host", "h"}}});
    CHECK(got.status == 200);
    return body_of(got);
  };
  const std::string card = page("/datasets/lab/two");
  CHECK(holds(card, "snapshot_download(\"lab/two\", repo_type=\"dataset\")"));
  CHECK(holds(card, "curl -O http://h/datasets/lab/two/resolve/main/README.md"));
  CHECK(holds(card, "href=\"/datasets/lab/two/tree/main\""));
  CHECK(holds(page("/lab/one"), "snapshot_download(\"lab/one\")"));
  CHECK(holds(page("/lab/one"), "curl -O http://h/lab/one/resolve/main/README.md"));

  const std::string files = page("/datasets/lab/two/tree/main");
  CHECK(holds(files, "href=\"/datasets/lab/two/blob/main/rows.parquet\""));
  CHECK(holds(files, "href=\"/datasets/lab/two/tree/main/deep\""));
  CHECK(holds(page("/datasets/lab/two/tree/main/deep/er"), "table.csv"));
  const std::string file = page("/datasets/lab/two/blob/main/deep/er/table.csv");
  CHECK(holds(file, "a,b"));
  CHECK(holds(file, "href=\"/datasets/lab/two/resolve/main/deep/er/table.csv"));
  CHECK(hub.get("/datasets/lab/one/tree/main").status == 404);
  CHECK(hub.get("/lab/two/blob/main/README.md").status == 404);
}

TEST_CASE("web/datasets: what is written to a model is written to a dataset") {
  const Writing hub;
  for (const Kind& kind : kKinds) {
    CAPTURE(kind.type);
    const auto named = [&](const std::string& name) {
      return R"({"name":")" + name + R"(","type":")" + kind.type + R"("})";
    };
    const auto file = [&](const std::string& path) {
      return hub.get(kind.page() + "/resolve/main/" + path);
    };
    const Response made = hub.post("/api/repos/create", named(kind.id));
    REQUIRE(made.status == 200);
    CHECK(json_of(made).find("url")->as_string() == "http://127.0.0.1" + kind.page());

    const Json modes = json_of(hub.post(kind.api() + "/preupload/main", R"({"files":[
        {"path":"a.txt","size":2,"sample":"aGk="},{"path":"w.parquet","size":4,"sample":"UEFSMQ=="}]})"));
    CHECK(modes.find("files")->as_array()[0].find("uploadMode")->as_string() == "regular");
    CHECK(modes.find("files")->as_array()[1].find("uploadMode")->as_string() == "lfs");

    // An object by git-lfs, and a commit with it.
    const std::string bytes = kind.type + tests::pattern_bytes(100'000);
    const std::string oid = to_hex(sha256(as_bytes(bytes)));
    const std::string object =
        R"({"oid":")" + oid + R"(","size":)" + std::to_string(bytes.size()) + "}";
    const std::string lfs = kind.page() + ".git/info/lfs";
    const auto href = [&](const char* operation, const char* action) {
      const Json batch =
          json_of(hub.post(lfs + "/objects/batch", R"({"operation":")" + std::string(operation) +
                                                       R"(","objects":[)" + object + "]}"));
      const Json* found =
          batch.find("objects")->as_array().front().find_path({"actions", action, "href"});
      REQUIRE(found != nullptr);
      return found->as_string().substr(std::string("http://127.0.0.1").size());
    };
    CHECK(handle({.method = "PUT", .target = href("upload", "upload"), .body = bytes}, hub.services)
              .status == 200);
    CHECK(hub.post(lfs + "/verify", object).status == 200);
    const Response committed = hub.post(
        kind.api() + "/commit/main",
        lines({kHeader, R"({"key":"file","value":{"path":"a.txt","content":"hi"}})",
               R"({"key":"lfsFile","value":{"path":"w.parquet","oid":")" + oid + R"("}})"}));
    REQUIRE(committed.status == 200);
    CHECK(json_of(committed).find("commitUrl")->as_string() ==
          "http://127.0.0.1" + kind.page() + "/commit/" +
              json_of(committed).find("commitOid")->as_string());
    CHECK(body_of(file("a.txt")) == "hi");
    CHECK(body_of(file("w.parquet")) == bytes);
    CHECK(body_of(hub.get(href("download", "download"))) == bytes);

    CHECK(hub.post(kind.api() + "/branch/dev", "").status == 201);
    CHECK(hub.post(kind.api() + "/tag/main", R"({"tag":"v1"})").status == 201);
    CHECK(hub.get(kind.page() + "/resolve/v1/a.txt").status == 200);
    CHECK(hub.post(kind.api() + "/super-squash/main", "{}").status == 200);
    CHECK(json_of(hub.get(kind.api() + "/commits/main")).as_array().size() == 1);

    // A push.
    tests::MadePack pack;
    const GitOid blob = pack.blob("pushed\n");
    const GitOid commit = pack.commit(pack.tree({{.name = "p.txt", .oid = blob}}));
    const Response pushed =
        hub.post(kind.page() + ".git/git-receive-pack",
                 tests::push_of({{.ref = "refs/heads/side", .from = {}, .to = commit}}, pack));
    CHECK(holds(body_of(pushed), "ok refs/heads/side\n"));
    CHECK(body_of(hub.get(kind.page() + "/resolve/side/p.txt")) == "pushed\n");

    for (const char* ref : {"/branch/dev", "/tag/v1"}) {
      CHECK(hub.ask_trusted({.method = "DELETE", .target = kind.api() + ref}).status == 200);
    }
    const Json refs = json_of(hub.get(kind.api() + "/refs"));
    CHECK(refs.find("branches")->as_array().size() == 2);
    CHECK(refs.find("tags")->as_array().empty());

    CHECK(hub.post("/api/repos/move", R"({"fromRepo":")" + kind.id + R"(","toRepo":")" + kind.id +
                                          R"(-new","type":")" + kind.type + R"("})")
              .status == 200);
    CHECK(hub.get(kind.page() + "-new/resolve/main/a.txt").status == 200);
    CHECK(file("a.txt").status == 307);
    const std::string gone = named(kind.id + "-new");
    CHECK(
        hub.ask_trusted({.method = "DELETE", .target = "/api/repos/delete", .body = gone}).status ==
        200);
    CHECK(hub.get(kind.api() + "-new").status == 404);
  }
}

}  // namespace holdfast::web
