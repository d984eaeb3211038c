#include "web/handler.h"

#include <doctest/doctest.h>

#include "tests/web/asking.h"

namespace holdfast::web {
namespace {

using tests::Ask;
using tests::Asking;
using tests::body_of;
using tests::json_of;

std::string text(std::string_view view) { return std::string(view); }

}  // namespace

TEST_CASE("web/hub_files: resolve carries every header that clients read") {
  const Asking hub;
  const std::string weights = tests::pattern_bytes(tests::kWeightsBytes);
  const std::string etag = "\"" + to_hex(sha256(as_bytes(weights))) + "\"";
  const std::string commit = to_hex(hub.sample.commit("org/tiny"));
  for (const char* method : {"GET", "HEAD"}) {
    const Response got =
        hub.ask({.method = method, .target = "/org/tiny/resolve/main/model.safetensors"});
    CHECK(got.status == 200);
    CHECK(text(got.header("etag")) == etag);
    CHECK(text(got.header("X-Linked-ETag")) == etag);
    CHECK(text(got.header("X-Linked-Size")) == std::to_string(weights.size()));
    CHECK(text(got.header("X-Repo-Commit")) == commit);
    CHECK(text(got.header("Accept-Ranges")) == "bytes");
    CHECK(text(got.header("Cache-Control")) == "no-cache");
    CHECK(text(got.header("Content-Disposition")) ==
          "inline; filename*=UTF-8''model.safetensors; filename=\"model.safetensors\";");
    CHECK(text(got.header("X-Request-Id")) == "id-1");
    CHECK(text(got.header("Content-Encoding")).empty());
    CHECK(got.body_bytes() == weights.size());
  }
  CHECK(body_of(hub.get("/org/tiny/resolve/main/model.safetensors")) == weights);
  const Response pinned = hub.get("/org/tiny/resolve/" + commit + "/config.json");
  CHECK(text(pinned.header("Cache-Control")) == "max-age=31536000, immutable");
  CHECK(text(pinned.header("Content-Type")) == "application/json");
  // A regular file's ETag is git's blob id.
  const auto blob = git_object_id("blob", as_bytes("{\"model_type\": \"llama\"}\n"));
  CHECK(text(pinned.header("ETag")) == "\"" + to_hex(blob) + "\"");
}

TEST_CASE("web/hub_files: every spelling of a revision leads to the file") {
  const Asking hub;
  const std::string commit = to_hex(hub.sample.commit("org/tiny"));
  for (const std::string& revision :
       {std::string("main"), std::string("HEAD"), std::string("v1"), commit, commit.substr(0, 8),
        std::string("refs%2Fpr%2F1"), std::string("refs/pr/1"), std::string("refs/heads/main"),
        std::string("refs%2Ftags%2Fv1")}) {
    CAPTURE(revision);
    CHECK(hub.get("/org/tiny/resolve/" + revision + "/config.json").status == 200);
    CHECK(hub.get("/api/models/org/tiny/revision/" + revision).status == 200);
  }
  CHECK(hub.get("/gpt2/resolve/main/config.json").status == 200);
  CHECK(hub.get("/datasets/org/data/resolve/main/data.csv").status == 200);
}

TEST_CASE("web/hub_files: ranges") {
  struct Case {
    const char* path;
    const char* range;
    int status;
    const char* content_range;
    std::uint64_t length;
  };

  constexpr Case kCases[] = {
      {"model.safetensors", "bytes=0-0", 206, "bytes 0-0/3000017", 1},
      {"model.safetensors", "bytes=100-199", 206, "bytes 100-199/3000017", 100},
      {"model.safetensors", "bytes=-17", 206, "bytes 3000000-3000016/3000017", 17},
      {"model.safetensors", "bytes=3000000-", 206, "bytes 3000000-3000016/3000017", 17},
      {"model.safetensors", "bytes=0-1,5-6", 200, "", 3000017},
      {"model.safetensors", "bytes=3000017-", 416, "bytes */3000017", 0},
      // The JavaScript client's probe of an empty file.
      {"empty.txt", "bytes=0-0", 200, "bytes */0", 0},
      {"empty.txt", "bytes=0-1", 416, "bytes */0", 0},
      {"empty.txt", "", 200, "", 0},
  };
  const Asking hub;
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.path));
    CAPTURE(std::string(c.range));
    const std::string target = std::string("/org/tiny/resolve/main/") + c.path;
    const Response got = hub.ask({.target = target, .headers = {{"Range", c.range}}});
    CHECK(got.status == c.status);
    CHECK(text(got.header("Content-Range")) == c.content_range);
    if (c.status < 400) CHECK(got.body_bytes() == c.length);
    CHECK_FALSE(got.header("X-Repo-Commit").empty());
  }
}

TEST_CASE("web/hub_files: If-Range gives the part of the file it names, and else all of it") {
  const Asking hub;
  for (const char* path : {"config.json", "model.safetensors"}) {
    CAPTURE(std::string(path));
    const std::string target = std::string("/org/tiny/resolve/main/") + path;
    const std::string etag = text(hub.get(target).header("ETag"));

    struct Case {
      std::string validator;
      int status;
    };

    // A weak one never matches, and no date is that of a version (RFC 9110, section 13.1.5).
    const Case cases[] = {{etag, 206},
                          {"\"other\"", 200},
                          {"W/" + etag, 200},
                          {"Fri, 02 Jan 2026 03:04:05 GMT", 200}};
    for (const Case& c : cases) {
      CAPTURE(c.validator);
      const Response got = hub.ask(
          {.target = target, .headers = {{"Range", "bytes=2-4"}, {"If-Range", c.validator}}});
      CHECK(got.status == c.status);
      CHECK((got.body_bytes() == 3) == (c.status == 206));
    }
  }
}

TEST_CASE("web/hub_files: who has the file already is told so, but HEAD follows the branch") {
  const Asking hub;
  const std::string commit = to_hex(hub.sample.commit("org/tiny"));
  const std::string branch = "/org/tiny/resolve/main/config.json";
  const std::string pinned = "/org/tiny/resolve/" + commit + "/config.json";
  const std::string pointer = "/org/tiny/raw/main/tiny-Q4_0.gguf";

  struct Case {
    const char* method;
    std::string target;
    bool etag;  // asks with the file's own ETag
    int status;
  };

  const Case cases[] = {
      {"GET", branch, true, 304},  {"GET", branch, false, 200},  {"HEAD", branch, true, 200},
      {"HEAD", pinned, true, 304}, {"HEAD", pinned, false, 200}, {"GET", pinned, true, 304},
      {"GET", pointer, true, 304}, {"HEAD", pointer, true, 200}, {"GET", pointer, false, 200},
  };
  for (const Case& c : cases) {
    CAPTURE(c.target);
    CAPTURE(std::string(c.method));
    const std::string etag = text(hub.get(c.target).header("ETag"));
    const std::string asked = c.etag ? "\"x\", W/" + etag : "\"x\"";
    const Ask ask{.method = c.method,
                  .target = c.target,
                  .headers = {{"If-None-Match", asked}, {"Range", "bytes=0-1"}}};
    const Response got = hub.ask(ask);
    const bool part = c.status == 200 && std::string_view(c.method) == "GET";
    CHECK(got.status == (part ? 206 : c.status));
    CHECK(text(got.header("ETag")) == etag);
    CHECK(text(got.header("X-Repo-Commit")) == commit);
    CHECK_FALSE(got.header("Cache-Control").empty());
    if (c.status == 304) CHECK(got.body_bytes() == 0);
  }
  const Ask star{.target = branch, .headers = {{"If-None-Match", "*"}}};
  CHECK(hub.ask(star).status == 304);
  const Ask missing{.target = "/org/tiny/resolve/main/none", .headers = {{"If-None-Match", "*"}}};
  CHECK(hub.ask(missing).status == 404);
}

TEST_CASE("web/handler: what is missing says so in the hub's own words") {
  struct Case {
    const char* target;
    int status;
    const char* code;
    bool commit;  // X-Repo-Commit is there
  };

  constexpr Case kCases[] = {
      {"/org/tiny/resolve/main/none.json", 404, "EntryNotFound", true},
      {"/org/tiny/resolve/main/pytorch_model.bin", 404, "EntryNotFound", true},
      {"/org/tiny/resolve/main/../config.json", 404, "EntryNotFound", true},
      {"/org/tiny/resolve/main/%2e%2e%2fconfig.json", 404, "EntryNotFound", true},
      {"/org/tiny/resolve/main/onnx", 404, "EntryNotFound", true},
      {"/org/tiny/raw/main/none", 404, "EntryNotFound", true},
      {"/org/tiny/resolve/none/config.json", 404, "RevisionNotFound", false},
      {"/org/none/resolve/main/config.json", 404, "RepoNotFound", false},
      {"/org/bad--id/resolve/main/config.json", 404, "RepoNotFound", false},
      {"/none/resolve/main/config.json", 404, "RepoNotFound", false},
      {"/api/models/org/none", 404, "RepoNotFound", false},
      {"/api/models/org/tiny/revision/none", 404, "RevisionNotFound", false},
      {"/api/models/org/tiny/tree/main/none", 404, "EntryNotFound", true},
      {"/api/models/org/tiny/tree/main/additional_chat_templates?recursive=false", 404,
       "EntryNotFound", true},
      {"/api/datasets/org/tiny", 404, "RepoNotFound", false},
      {"/api/buckets", 404, "", false},
      {"/api/models/org/tiny?expand=nonsense", 400, "", false},
      {"/api/models?limit=x", 400, "", false},
      {"/org/tiny/resolve/main/%zz", 404, "", false},
      {"/a b", 400, "", false},
  };
  const Asking hub;
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.target));
    const Response got = hub.get(c.target);
    CHECK(got.status == c.status);
    CHECK(text(got.header("X-Error-Code")) == c.code);
    CHECK(got.header("X-Repo-Commit").empty() == !c.commit);
    CHECK_FALSE(got.header("X-Error-Message").empty());
    CHECK_FALSE(got.header("X-Request-Id").empty());
    CHECK(json_of(got).find("error") != nullptr);
  }
  const Response unselected = hub.get("/org/tiny/resolve/main/pytorch_model.bin");
  CHECK(body_of(unselected).find("selection") != std::string::npos);
  CHECK(json_of(hub.get("/api/models/org/tiny/revision/none"))
            .find("error")
            ->as_string()
            .starts_with("Invalid rev id"));
}

TEST_CASE("web/handler: an id in the wrong case is redirected, query and all") {
  Asking hub;
  const Response got = hub.get("/example/camelcase/resolve/main/config.json?download=true");
  CHECK(got.status == 307);
  CHECK(text(got.header("Location")) ==
        "/Example/CamelCase/resolve/main/config.json?download=true");
  CHECK(text(hub.get("/api/models/EXAMPLE/camelcase").header("Location")) ==
        "/api/models/Example/CamelCase");
  hub.services.external_url = "https://hub.example.org/base/";
  CHECK(text(hub.get("/api/models/EXAMPLE/camelcase").header("Location")) ==
        "/base/api/models/Example/CamelCase");
}

TEST_CASE("web/hub_files: no path can write a header of its own") {
  const Asking hub;
  const Response got = hub.get("/org/tiny/resolve/main/a%0d%0aX-Evil:%201");
  for (const auto& [name, value] : got.headers) {
    CHECK(value.find_first_of("\r\n") == std::string::npos);
  }
  const Response quoted =
      hub.get("/org/tiny/resolve/main/sub%20dir/na%C3%AFve%20%22file%22.txt?download=true");
  CHECK(quoted.status == 200);
  CHECK(
      text(quoted.header("Content-Disposition")) ==
      "attachment; filename*=UTF-8''na%C3%AFve%20%22file%22.txt; filename=\"na__ve _file_.txt\";");
}

TEST_CASE("web/hub_files: a stored page does not run as a page of ours") {
  const Asking hub;
  const Response got = hub.get("/org/tiny/resolve/main/index.html");
  CHECK(text(got.header("Content-Type")) == "text/plain; charset=utf-8");
  CHECK(text(got.header("Content-Security-Policy")).find("sandbox") != std::string::npos);
}

TEST_CASE("web/hub_files: raw gives the pointer of an LFS file") {
  const Asking hub;
  const std::string pointer = body_of(hub.get("/org/tiny/raw/main/tiny-Q4_0.gguf"));
  CHECK(pointer.starts_with("version https://git-lfs.github.com/spec/v1\n"));
  CHECK(pointer.find("size 5000\n") != std::string::npos);
  const Ask part{.target = "/org/tiny/raw/main/tiny-Q4_0.gguf",
                 .headers = {{"Range", "bytes=0-6"}}};
  CHECK(hub.ask(part).status == 206);
  CHECK(body_of(hub.ask(part)) == "version");
  CHECK(body_of(hub.get("/org/tiny/raw/main/config.json")) == "{\"model_type\": \"llama\"}\n");
}

TEST_CASE("web/hub_info: repository info satisfies every client") {
  const Asking hub;
  const Json info = json_of(hub.get("/api/models/org/tiny"));
  const std::string commit = to_hex(hub.sample.commit("org/tiny"));
  CHECK(info.find("id")->as_string() == "org/tiny");
  CHECK(info.find("modelId")->as_string() == "org/tiny");
  CHECK(info.find("_id")->as_string().size() == 24);
  CHECK(info.find("sha")->as_string() == commit);
  CHECK(info.find("lastModified")->as_string() == "2026-01-02T03:04:05.000Z");
  for (const char* key : {"private", "gated", "disabled"})
    CHECK(info.find(key)->as_bool() == false);
  CHECK(info.find("pipeline_tag")->as_string() == "text-generation");
  CHECK(info.find_path({"cardData", "license"})->as_string() == "mit");
  CHECK(info.find_path({"safetensors", "parameters", "BF16"})->as_int() == 1500000);
  CHECK(info.find_path({"gguf", "architecture"})->as_string() == "llama");
  CHECK(info.find_path({"gguf", "context_length"})->as_int() == 2048);
  CHECK(info.find("xetEnabled") == nullptr);
  const auto& siblings = info.find("siblings")->as_array();
  CHECK(siblings.size() == 9);  // the file outside the selection is not offered
  CHECK(siblings.front().find("rfilename")->as_string() == "README.md");
  CHECK(siblings.front().find("blobId") == nullptr);

  const Json blobs = json_of(hub.get("/api/models/org/tiny?blobs=True"));
  for (const Json& sibling : blobs.find("siblings")->as_array()) {
    CHECK(sibling.find("size") != nullptr);
    const bool lfs = sibling.find("rfilename")->as_string() == "model.safetensors";
    if (lfs) CHECK(sibling.find_path({"lfs", "sha256"})->as_string().size() == 64);
  }
  const Json some =
      json_of(hub.get("/api/models/org/tiny/revision/main?expand=sha&expand[]=gated"));
  CHECK(some.find("sha") != nullptr);
  CHECK(some.find("gated") != nullptr);
  CHECK(some.find("siblings") == nullptr);
}

TEST_CASE("web/hub_tree: tree lists entries with git's ids, in pages with absolute links") {
  const Asking hub;
  const auto listed = [&](const char* query) {
    std::string paths;
    const Json page = json_of(hub.get(std::string("/api/models/org/tiny/tree/main") + query));
    for (const Json& entry : page.as_array()) {
      paths += entry.find("path")->as_string() +
               (entry.find("type")->as_string() == "directory" ? "/ " : " ");
    }
    return paths;
  };
  CHECK(listed("") ==
        "README.md config.json empty.txt index.html model.safetensors onnx/ sub dir/ "
        "tiny-Q4_0.gguf ");
  CHECK(listed("/onnx") == "onnx/deep/ onnx/readme.txt ");
  CHECK(listed("/onnx%2Fdeep") == "onnx/deep/model.onnx ");
  CHECK(listed("?recursive=true").find("onnx/ onnx/deep/ onnx/deep/model.onnx onnx/readme.txt ") !=
        std::string::npos);
  CHECK(listed("?recursive=false") == listed(""));

  const Json all = json_of(hub.get("/api/models/org/tiny/tree/main?recursive=1&expand=1"));
  for (const Json& entry : all.as_array()) {
    const std::string oid = entry.find("oid")->as_string();
    CHECK(oid.size() == 40);
    CHECK(oid != std::string(40, '0'));
    CHECK(entry.find("xetHash") == nullptr);
    CHECK(entry.find_path({"lastCommit", "id"}) != nullptr);
    const auto git = hub.sample.store->catalog().find_git_object(*parse_git_oid(oid));
    if (entry.find("type")->as_string() == "directory") CHECK(git.value().type == "tree");
    if (entry.find("path")->as_string() == "model.safetensors") {
      CHECK(entry.find("size")->as_uint() == tests::kWeightsBytes);
      CHECK(entry.find_path({"lfs", "oid"})->as_string().size() == 64);
      CHECK(entry.find_path({"lfs", "pointerSize"})->as_uint() > 100);
    }
  }
}

TEST_CASE("web/hub_tree: following Link gives every entry once") {
  const Asking hub;
  std::string target = "/api/models/org/tiny/tree/main?recursive=true&limit=2";
  std::size_t entries = 0;
  std::size_t pages = 0;
  while (!target.empty()) {
    const Response page = hub.ask({.target = target, .headers = {{"Host", "hub.test:81"}}});
    REQUIRE(page.status == 200);
    entries += json_of(page).as_array().size();
    REQUIRE(++pages < 20);
    const std::string link = text(page.header("Link"));
    target.clear();
    if (link.empty()) continue;
    constexpr std::string_view kStart = "<http://hub.test:81";
    REQUIRE(link.starts_with(kStart));
    REQUIRE(link.ends_with(">; rel=\"next\""));
    target = link.substr(kStart.size(), link.find('>') - kStart.size());
  }
  CHECK(entries == 12);  // nine files, three directories
  CHECK(pages == 6);
}

TEST_CASE("web/hub_tree: paths-info takes forms and JSON, and leaves unknown paths out") {
  const Asking hub;
  const Ask form{.method = "POST",
                 .target = "/api/models/org/tiny/paths-info/main",
                 .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                 .body = "paths=config.json&paths=onnx%2Fdeep&paths=none&expand=True"};
  const Json by_form = json_of(hub.ask(form));
  REQUIRE(by_form.as_array().size() == 2);
  CHECK(by_form.as_array()[1].find("type")->as_string() == "directory");
  CHECK(by_form.as_array()[0].find("lastCommit") != nullptr);
  const Ask json{
      .method = "POST",
      .target = "/api/models/org/tiny/paths-info/main",
      .headers = {{"content-type", "application/json"}},
      .body = "{\"paths\": [\"config.json\", \"pytorch_model.bin\"], \"expand\": false}"};
  CHECK(json_of(hub.ask(json)).as_array().size() == 1);
  for (const char* bad : {"{", "[]", "{\"paths\": 1}", "{}"}) {
    CAPTURE(std::string(bad));
    Ask broken = json;
    broken.body = bad;
    CHECK(hub.ask(broken).status == 400);
  }
}

TEST_CASE("web/hub_history: refs has its three lists, and pull requests when asked") {
  const Asking hub;
  const Json refs = json_of(hub.get("/api/models/org/tiny/refs"));
  CHECK(refs.find("branches")->as_array().size() == 1);
  CHECK(refs.find("branches")->as_array()[0].find("name")->as_string() == "main");
  CHECK(refs.find("branches")->as_array()[0].find("ref")->as_string() == "refs/heads/main");
  CHECK(refs.find("tags")->as_array().size() == 1);
  CHECK(refs.find("converts")->as_array().empty());
  CHECK(refs.find("pullRequests") == nullptr);
  const Json all = json_of(hub.get("/api/models/org/tiny/refs?include_prs=1"));
  CHECK(all.find("pullRequests")->as_array().size() == 1);
}

TEST_CASE("web/hub_history: commits name their authors") {
  const Asking hub;
  const Response got = hub.get("/api/models/org/tiny/commits/main");
  const Json commits = json_of(got);
  REQUIRE(commits.as_array().size() == 1);
  CHECK(text(got.header("X-Total-Count")) == "1");
  const Json& commit = commits.as_array()[0];
  CHECK(commit.find("id")->as_string() == to_hex(hub.sample.commit("org/tiny")));
  CHECK(commit.find("title")->as_string() == "Add files");
  CHECK(commit.find("message")->as_string() == "All of them.\n");
  CHECK(commit.find("authors")->as_array()[0].find("user") != nullptr);
}

TEST_CASE("web/hub_history: commits come in pages, newest first, with the number of all") {
  const Asking hub;
  std::vector<std::string> ids;
  std::vector<GitOid> parents;
  for (const char* content : {"1", "2", "3", "4", "5"}) {
    parents = {tests::publish(
        *hub.sample.store,
        {.id = "org/past", .files = {{"f", content}}, .facts = {}, .parents = parents})};
    ids.insert(ids.begin(), to_hex(parents.front()));
  }
  const std::string list = "/api/models/org/past/commits/main";
  for (const std::size_t limit : {1U, 2U, 4U, 5U, 100U}) {
    CAPTURE(limit);
    std::vector<std::string> seen;
    std::size_t pages = 0;
    std::string target = list + "?limit=" + std::to_string(limit);
    for (; !target.empty() && pages < 9; ++pages) {
      const Response page = hub.ask({.target = target, .headers = {{"Host", "hub.test"}}});
      CHECK(text(page.header("X-Total-Count")) == "5");
      const Json commits = json_of(page);
      CHECK(commits.as_array().size() <= limit);
      for (const Json& commit : commits.as_array()) seen.push_back(commit.find("id")->as_string());
      const std::string link = text(page.header("Link"));
      const std::string host = "<http://hub.test";
      REQUIRE((link.empty() || link.starts_with(host + list)));
      target = link.empty() ? "" : link.substr(host.size(), link.find('>') - host.size());
    }
    CHECK(seen == ids);
    CHECK(pages == (ids.size() + limit - 1) / limit);
  }
  CHECK(json_of(hub.get(list + "?cursor=3")).as_array().size() == 2);
  CHECK(json_of(hub.get(list + "?cursor=9")).as_array().empty());
  CHECK(hub.get(list + "?limit=x").status == 400);
}

TEST_CASE("web/hub_history: commits as HTML for who asks, and it is safe") {
  const Asking hub;
  tests::publish(*hub.sample.store,
                 {.id = "org/told",
                  .files = {{"f", "x"}},
                  .facts = {},
                  .message = "Add `f` <b>\n\n- see [it](f)\n\n<script>alert(1)</script>\n"});
  const std::string list = "/api/models/org/told/commits/main";
  CHECK(json_of(hub.get(list)).as_array().front().find("formatted") == nullptr);
  const std::string id = to_hex(hub.sample.commit("org/told"));
  for (const char* query :
       {"?expand[]=formatted", "?expand=formatted", "?expand%5B%5D=formatted"}) {
    CAPTURE(std::string(query));
    const Json commits = json_of(hub.get(list + query));
    const Json& commit = commits.as_array().front();
    CHECK(commit.find("title")->as_string() == "Add `f` <b>");
    CHECK(commit.find_path({"formatted", "title"})->as_string() == "Add <code>f</code> ");
    CHECK(commit.find_path({"formatted", "message"})->as_string() ==
          "<ul>\n<li>see <a href=\"/org/told/blob/" + id + "/f\">it</a></li>\n</ul>\n");
  }
}

TEST_CASE("web/handler: small answers that every client asks for") {
  const Asking hub;
  CHECK(hub.get("/api/whoami-v2").status == 401);
  CHECK(text(hub.get("/api/whoami-v2").header("X-Error-Message")) ==
        "Invalid credentials in Authorization header");
  CHECK(body_of(hub.get("/api/agent-harnesses")) == "{\"standardEnvVars\":[],\"harnesses\":{}}");
  CHECK(hub.ask({.method = "HEAD", .target = "/api/telemetry/a/b"}).status == 200);
  CHECK(hub.ask({.method = "OPTIONS", .target = "/api/models"}).status == 204);
  CHECK(hub.ask({.method = "POST", .target = "/api/models/org/tiny"}).status == 405);
  // A token of another hub is nobody's here, and no reason to refuse what is public.
  const Ask token{.target = "/api/models/org/tiny",
                  .headers = {{"Authorization", "Bearer hf_foreign"}}};
  CHECK(hub.ask(token).status == 200);
}

}  // namespace holdfast::web
