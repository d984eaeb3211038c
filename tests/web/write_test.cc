// The hub's routes for writing, asked as its clients ask, without a socket.
#include <doctest/doctest.h>

#include "tests/web/guarded.h"
#include "tests/web/writing.h"
#include "web/git_attributes.h"

namespace holdfast::web {
namespace {

using tests::Ask;
using tests::body_of;
using tests::json_of;
using tests::kHeader;
using tests::lines;
using tests::Writing;

}  // namespace

TEST_CASE("web/hub_create: a new repository has one commit with .gitattributes") {
  const Writing hub;
  const Response made = hub.post("/api/repos/create", R"({"name":"new","organization":"me",
      "license":"mit","files":[{"path":"a.txt","content":"aGk=","encoding":"base64"}]})");
  REQUIRE(made.status == 200);
  CHECK(json_of(made).find("url")->as_string() == "http://127.0.0.1/me/new");
  CHECK(json_of(made).find("id")->as_string() == "me/new");
  CHECK(body_of(hub.get("/me/new/resolve/main/.gitattributes")) == GitAttributes::defaults());
  CHECK(body_of(hub.get("/me/new/resolve/main/a.txt")) == "hi");
  CHECK(body_of(hub.get("/me/new/resolve/main/README.md")) == "---\nlicense: \"mit\"\n---\n");
  CHECK(json_of(hub.get("/api/models/me/new/commits/main")).as_array().size() == 1);
}

TEST_CASE("web/hub_create: what cannot be made, and what its refusal carries") {
  const Writing hub;
  REQUIRE(hub.post("/api/repos/create", R"({"name":"me/new"})").status == 200);

  struct Case {
    const char* body;
    int status;
  };

  constexpr Case kCases[] = {
      {R"({"name":"me/new"})", 409},
      {R"({"name":"example/camelcase"})", 409},
      {R"({"name":"me/new","type":"dataset"})", 200},
      {R"({"name":"new"})", 400},
      {R"({"name":"api/x"})", 400},
      {R"({"name":"me/x","type":"space"})", 400},
      {R"({"name":7})", 400},
      {R"([])", 400},
      {R"({"name":"me/..","organization":null})", 400},
      {R"({"name":"me/x","files":[{"path":"../x","content":""}]})", 400},
      {R"({"name":"me/x","files":[{"path":"x","content":"*","encoding":"base64"}]})", 400},
      {"{", 400},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.body));
    CHECK(hub.post("/api/repos/create", c.body).status == c.status);
  }
  // huggingface_hub's create_repo(exist_ok=True) reads the URL of the refusal.
  const Json refusal = json_of(hub.post("/api/repos/create", R"({"name":"me/new"})"));
  CHECK(refusal.find("url")->as_string() == "http://127.0.0.1/me/new");
  CHECK(refusal.find("error")->as_string().find("already exists") != std::string::npos);
  CHECK(hub.get("/api/models/me/x").status == 404);
}

TEST_CASE("web/hub_create: a repository goes with all that it had") {
  const Writing hub;
  REQUIRE(hub.post("/api/repos/create", R"({"name":"me/new"})").status == 200);
  CHECK(hub.ask_trusted({.method = "DELETE",
                         .target = "/api/repos/delete",
                         .body = R"({"name":"new","organization":"me","type":"model"})"})
            .status == 200);
  CHECK(hub.get("/api/models/me/new").status == 404);
  const Response again = hub.ask_trusted(
      {.method = "DELETE", .target = "/api/repos/delete", .body = R"({"name":"me/new"})"});
  CHECK(again.status == 404);
  CHECK(again.header("X-Error-Code") == "RepoNotFound");
}

TEST_CASE("web/write_access: who may write, and where") {
  const Writing hub;
  REQUIRE(hub.post("/api/repos/create", R"({"name":"me/new"})").status == 200);

  struct Case {
    bool loopback;
    std::vector<Header> headers;
    int status;
  };

  const Case cases[] = {
      {true, {{"Host", "localhost:8080"}}, 200},
      {true, {{"Host", "127.0.0.1"}}, 200},
      {true, {{"Host", "127.attacker.example"}}, 403},
      {true, {{"Host", "[::1]:80"}}, 200},
      {false, {{"Host", "localhost"}}, 403},
      {true, {{"Host", "rebound.example.org"}}, 403},
      {true, {{"Host", "localhost"}, {"X-Forwarded-For", "10.0.0.1"}}, 403},
      {true, {{"Host", "localhost"}, {"Via", "1.1 proxy"}}, 403},
      {true, {{"Host", "localhost"}, {"Origin", "http://localhost"}}, 403},
  };
  for (const Case& c : cases) {
    CAPTURE(c.headers.back().value);
    CAPTURE(c.loopback);
    const Request request{.method = "POST",
                          .target = "/api/models/me/new/preupload/main",
                          .headers = c.headers,
                          .body = R"({"files":[]})",
                          .loopback = c.loopback};
    CHECK(handle(request, hub.services).status == c.status);
  }
}

TEST_CASE("web/write_access: what is mirrored changes only upstream") {
  const Writing hub;
  const Response refused = hub.post("/api/models/org/tiny/commit/main", kHeader);
  CHECK(refused.status == 403);
  CHECK(refused.header("X-Error-Message").find("mirrored from https://upstream.example.org") !=
        std::string_view::npos);
  CHECK(
      hub.ask_trusted(
             {.method = "DELETE", .target = "/api/repos/delete", .body = R"({"name":"org/tiny"})"})
          .status == 403);
  CHECK(hub.get("/api/models/org/tiny").status == 200);
}

TEST_CASE("web/hub_preupload: which files go through git-lfs") {
  const Writing hub;
  hub.create("me/new");
  const Response answer = hub.post("/api/models/me/new/preupload/main", R"({"files":[
      {"path":"config.json","size":3,"sample":"e30K"},
      {"path":"model.safetensors","size":3,"sample":"e30K"},
      {"path":"empty.safetensors","size":0,"sample":""},
      {"path":"data.xyz","size":4,"sample":"AAECAw=="},
      {"path":"long.txt","size":20000000,"sample":"aGk="},
      {"path":".gitattributes","size":3,"sample":"aGk="}]})");
  REQUIRE(answer.status == 200);
  const Json json = json_of(answer);
  std::string modes;
  for (const Json& file : json.find("files")->as_array()) {
    modes += file.find("uploadMode")->as_string().substr(0, 1);
    CHECK_FALSE(file.find("shouldIgnore")->as_bool());
  }
  CHECK(modes == "rlrllr");
  // The object that is there already, so that a client need not send it again.
  CHECK(json.find("files")->as_array().back().find("oid")->as_string() ==
        to_hex(git_object_id("blob", as_bytes(GitAttributes::defaults()))));
  CHECK(hub.post("/api/models/me/new/preupload/none", R"({"files":[]})").status == 404);
  CHECK(hub.post("/api/models/me/new/preupload/main", R"({"files":[{"path":"../a"}]})").status ==
        400);
}

TEST_CASE("web/hub_commit: every operation of a commit") {
  const Writing hub;
  hub.create("me/new");
  const std::string bytes = tests::pattern_bytes(300'000);
  const std::string oid = to_hex(hub.sample.store->blobs().put(as_bytes(bytes)));
  const Response first = hub.commit(
      "me/new",
      lines({R"({"key":"header","value":{"summary":"One","description":"More\nof it"}})",
             R"({"key":"file","value":{"path":"d/a.txt","content":"aGk=","encoding":"base64"}})",
             R"({"key":"file","value":{"path":"d/b.txt","content":"plain"}})",
             R"({"key":"lfsFile","value":{"path":"w.xyz","algo":"sha256","size":300000,"oid":")" +
                 oid + R"("}})"}));
  REQUIRE(first.status == 200);
  const std::string commit = json_of(first).find("commitOid")->as_string();
  CHECK(json_of(first).find("commitUrl")->as_string() ==
        "http://127.0.0.1/me/new/commit/" + commit);
  CHECK(body_of(hub.get("/me/new/resolve/main/d/a.txt")) == "hi");
  CHECK(body_of(hub.get("/me/new/resolve/main/w.xyz")) == bytes);
  CHECK(body_of(hub.get("/me/new/resolve/main/.gitattributes"))
            .ends_with("/w.xyz filter=lfs diff=lfs merge=lfs -text\n"));
  const Json log = json_of(hub.get("/api/models/me/new/commits/main"));
  CHECK(log.as_array().front().find("title")->as_string() == "One");
  CHECK(log.as_array().front().find("message")->as_string() == "More\nof it\n");

  REQUIRE(
      hub.commit("me/new",
                 lines({kHeader, R"({"key":"deletedFile","value":{"path":"d/a.txt"}})",
                        R"({"key":"file","value":{"path":"e/c.txt","oldPath":"d/b.txt"}})",
                        R"({"key":"lfsFile","value":{"path":"copy.xyz","oid":")" + oid + R"("}})"}))
          .status == 200);
  CHECK(hub.get("/me/new/resolve/main/d/a.txt").status == 404);
  CHECK(hub.get("/me/new/resolve/main/d/b.txt").status == 404);
  CHECK(body_of(hub.get("/me/new/resolve/main/e/c.txt")) == "plain");
  CHECK(body_of(hub.get("/me/new/resolve/main/copy.xyz")) == bytes);
  CHECK(body_of(hub.get("/me/new/resolve/" + commit + "/d/a.txt")) == "hi");
  REQUIRE(hub.commit("me/new", lines({kHeader, R"({"key":"deletedFolder","value":{"path":"e/"}})"}))
              .status == 200);
  CHECK(json_of(hub.get("/api/models/me/new/tree/main")).as_array().size() == 3);
}

TEST_CASE("web/hub_commit: what is large or covered by a pattern becomes an LFS file by itself") {
  const Writing hub;
  hub.create("me/new");
  const std::string large(kRegularFileMax + 1, 'x');
  REQUIRE(
      hub.commit("me/new",
                 lines({kHeader, R"({"key":"file","value":{"path":"m.bin","content":"b"}})",
                        R"({"key":"file","value":{"path":"e.bin","content":""}})",
                        R"({"key":"file","value":{"path":"l.txt","content":")" + large + R"("}})"}))
          .status == 200);
  CHECK(body_of(hub.get("/me/new/raw/main/m.bin")).starts_with("version https://git-lfs"));
  CHECK(body_of(hub.get("/me/new/raw/main/l.txt")).starts_with("version https://git-lfs"));
  CHECK(body_of(hub.get("/me/new/raw/main/e.bin")).empty());
  CHECK(body_of(hub.get("/me/new/resolve/main/l.txt")) == large);
}

TEST_CASE("web/hub_commit: what is refused changes nothing") {
  const Writing hub;
  hub.create("me/new");
  const std::string before = body_of(hub.get("/api/models/me/new/refs"));

  struct Case {
    std::string body;
    int status;
  };

  const auto with = [](std::string_view line) { return lines({kHeader, line}); };
  const std::string unknown(64, '7');
  const Case cases[] = {
      {"", 400},
      {"{", 400},
      {"[]\n", 400},
      {R"({"key":"file","value":{"path":"a","content":"b"}})", 400},
      {lines({kHeader, kHeader}), 400},
      {R"({"key":"header","value":{"summary":" "}})", 400},
      {R"({"key":"header","value":{"summary":7}})", 400},
      {R"({"key":"header","value":{"summary":"x","parentCommit":")" + std::string(40, '1') +
           R"("}})",
       412},
      {with(R"({"key":"other","value":{}})"), 400},
      {with(R"({"key":"file"})"), 400},
      {with(R"({"key":"file","value":{"path":"a"}})"), 400},
      {with(R"({"key":"file","value":{"path":"a","content":"*","encoding":"base64"}})"), 400},
      {with(R"({"key":"file","value":{"path":"a","content":"x","encoding":"x"}})"), 400},
      {with(R"({"key":"file","value":{"path":"../a","content":"x"}})"), 400},
      {with(R"({"key":"file","value":{"path":".git/config","content":"x"}})"), 400},
      {with(R"({"key":"file","value":{"path":".gitattributes/a","content":"x"}})"), 400},
      {with(R"({"key":"file","value":{"path":"a","oldPath":"none"}})"), 404},
      {with(R"({"key":"lfsFile","value":{"path":"a","oid":")" + unknown + R"("}})"), 400},
      {with(R"({"key":"lfsFile","value":{"path":"a","oid":"7"}})"), 400},
      {with(R"({"key":"deletedFile","value":{"path":"none"}})"), 404},
      {with(R"({"key":"deletedFolder","value":{"path":"none"}})"), 404},
      {with(R"({"key":"deletedFolder","value":{"path":"/"}})"), 400},
  };
  for (const Case& c : cases) {
    CAPTURE(c.body);
    CHECK(hub.commit("me/new", c.body).status == c.status);
  }
  const std::string both = lines({kHeader, R"({"key":"file","value":{"path":"a","content":"x"}})",
                                  R"({"key":"file","value":{"path":"a/b","content":"x"}})"});
  CHECK(hub.commit("me/new", both).status == 400);
  CHECK(hub.commit("me/new", std::string(kHeader), "none").status == 404);
  CHECK(hub.post("/api/models/me/new/commit/main?create_pr=1", kHeader).status == 403);
  CHECK(hub.commit("me/none", std::string(kHeader)).status == 404);
  CHECK(body_of(hub.get("/api/models/me/new/refs")) == before);
}

TEST_CASE("web/hub_commit: parentCommit must be the tip") {
  const Writing hub;
  hub.create("me/new");
  const auto tip = [&] { return json_of(hub.get("/api/models/me/new")).find("sha")->as_string(); };
  const auto on = [&](const std::string& parent) {
    return hub.commit(
        "me/new", R"({"key":"header","value":{"summary":"x","parentCommit":")" + parent + R"("}})");
  };
  const std::string first = tip();
  REQUIRE(on(first).status == 200);
  CHECK(tip() != first);
  CHECK(on(first).status == 412);
  CHECK(on(tip()).status == 200);
}

TEST_CASE("web/lfs_upload: an object comes in by one PUT, and only the right one") {
  const Writing hub;
  hub.create("me/new");
  const std::string bytes = tests::pattern_bytes(400'000);
  const std::string oid = to_hex(sha256(as_bytes(bytes)));
  const std::string href = hub.upload_href("me/new", oid, bytes.size());
  const auto put = [&](const std::string& target, std::string_view body) {
    return handle({.method = "PUT", .target = target, .body = body}, hub.services).status;
  };
  CHECK(put(href, std::string_view(bytes).substr(1)) == 400);
  CHECK(put(href, bytes + "x") == 400);
  CHECK(put(href, std::string(bytes.size(), 'x')) == 400);
  CHECK_FALSE(hub.sample.store->blobs().find(sha256(as_bytes(bytes))).has_value());
  std::string forged = href;
  forged.back() = forged.back() == '0' ? '1' : '0';
  CHECK(put(forged, bytes) == 403);
  std::string other = href;
  other.replace(other.find("me/new"), 6, "org/tiny");
  CHECK(put(other, bytes) == 403);
  CHECK(put(href.substr(0, href.find('?')), bytes) == 403);
  CHECK(put(href, bytes) == 200);
  CHECK(hub.sample.store->blobs().find(sha256(as_bytes(bytes))) == bytes.size());
  CHECK(put(href, bytes) == 200);
  // Stored: no actions at all, not even null ones.
  const Json again = json_of(hub.batch("me/new", oid, bytes.size()));
  CHECK(to_text(again.find("objects")->as_array().front()).find("actions") == std::string::npos);
  const std::string claim = R"({"oid":")" + oid + R"(","size":400000})";
  CHECK(hub.post("/me/new.git/info/lfs/verify", claim).status == 200);
  CHECK(hub.post("/me/new.git/info/lfs/verify", R"({"oid":")" + oid + R"(","size":1})").status ==
        404);
}

TEST_CASE("web/lfs_upload: where reading is guarded a digest is no right to the bytes") {
  tests::Guarded hub;
  Uploads uploads;
  hub.services.uploads = &uploads;
  const std::string token = hub.token("writer", "", storage::Right::Write, {"me/*"});
  const auto post = [&](std::string_view target, std::string_view body) {
    return hub.ask_as(token, {.method = "POST", .target = target, .body = body});
  };
  REQUIRE(post("/api/repos/create", R"({"name":"me/new"})").status == 200);
  const std::string bytes = tests::pattern_bytes(5000);
  const std::string oid = to_hex(hub.sample.store->blobs().put(as_bytes(bytes)));
  const std::string claim =
      lines({kHeader, R"({"key":"lfsFile","value":{"path":"w.bin","oid":")" + oid + R"("}})"});
  CHECK(post("/api/models/me/new/commit/main", claim).status == 400);
  const Json batch =
      json_of(post("/me/new.git/info/lfs/objects/batch",
                   R"({"operation":"upload","objects":[{"oid":")" + oid + R"(","size":5000}]})"));
  const Json* href =
      batch.find("objects")->as_array().front().find_path({"actions", "upload", "href"});
  REQUIRE(href != nullptr);
  const std::string target = href->as_string().substr(std::string("http://127.0.0.1").size());
  const auto put = [&](std::string_view body) {
    return hub.ask({.method = "PUT", .target = target, .body = body}).status;
  };
  CHECK(put(std::string(5000, 'x')) == 400);
  CHECK(post("/api/models/me/new/commit/main", claim).status == 400);
  CHECK(put(bytes) == 200);
  CHECK(post("/api/models/me/new/commit/main", claim).status == 200);
}

TEST_CASE("web/lfs_upload: batches that cannot be") {
  const Writing hub;
  hub.create("me/new");
  const std::string oid(64, 'a');
  CHECK(
      hub.post("/me/new.git/info/lfs/objects/batch", R"({"operation":"x","objects":[]})").status ==
      422);
  CHECK(hub.post("/me/new.git/info/lfs/objects/batch", R"({"operation":"upload"})").status == 422);
  CHECK(hub.post("/me/new.git/info/lfs/objects/batch", R"({"operation":7})").status == 400);
  for (const auto& [name, size] :
       {std::pair{std::string("x"), std::uint64_t{1}}, std::pair{oid, std::uint64_t{0}},
        std::pair{oid, std::uint64_t{1} << 60U}}) {
    const Json json = json_of(hub.batch("me/new", name, size));
    const Json& entry = json.find("objects")->as_array().front();
    CHECK(entry.find_path({"error", "code"})->as_int() == 422);
    CHECK(entry.find("oid")->as_string() == name);
  }
}

}  // namespace holdfast::web
