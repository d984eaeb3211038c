// What hubs of other people's making got wrong and clients then stumbled over: one case for each
// trap of the list in hub-protocol 10, by its number. Most have fuller tests elsewhere; here each
// has the one look that fails when the trap is open again.
#include <doctest/doctest.h>

#include "tests/web/guarded.h"
#include "tests/web/large_file.h"
#include "tests/web/raw_client.h"
#include "tests/web/writing.h"
#include "web/limits.h"
#include "web/xet.h"

namespace holdfast::web {
namespace {

using tests::Ask;
using tests::Asking;
using tests::body_of;
using tests::json_of;
using tests::Writing;

constexpr std::string_view kFile = "/org/tiny/resolve/main/config.json";
constexpr std::string_view kWeights = "/org/tiny/resolve/main/model.safetensors";

std::string text(std::string_view view) { return std::string(view); }

std::string oid_of(std::string_view bytes) { return to_hex(sha256(as_bytes(bytes))); }

}  // namespace

TEST_CASE("web/traps: 1, no xetHash leads a client away from resolve") {
  const Asking hub;
  const Ask paths{.method = "POST",
                  .target = "/api/models/org/tiny/paths-info/main",
                  .body = "paths=model.safetensors&expand=true"};
  for (const Response& got : {hub.get("/api/models/org/tiny/tree/main?recursive=true&expand=true"),
                              hub.ask(paths), hub.get("/api/models/org/tiny?blobs=true"),
                              hub.get("/api/models/org/tiny?expand=siblings")}) {
    CHECK(got.status == 200);
    CHECK(body_of(got).find("xetHash") == std::string::npos);
  }
  const Response file = hub.get(kWeights);
  CHECK(file.header("X-Xet-Hash").empty());
  CHECK(file.header("Link").empty());
}

TEST_CASE("web/traps: 2, clients that upload by Xet alone are told how to do otherwise") {
  const Writing hub;
  hub.create("me/new");
  const Response refused = hub.ask_trusted({.target = "/api/models/me/new/xet-write-token/main"});
  CHECK(refused.status >= 400);
  CHECK(refused.header("X-Error-Message").find("HF_HUB_DISABLE_XET=1") != std::string_view::npos);
  CHECK(json_of(refused).find("error")->as_string().find("HF_HUB_DISABLE_XET=1") !=
        std::string::npos);
}

TEST_CASE("web/traps: 3, what clients refuse to take by HTTP alone is offered by Xet") {
  constexpr std::uint64_t kClientsLimit = 50'000'000'000;
  CHECK(xet_size_bytes_min(XetMode::Large).value() <= kClientsLimit);
  CHECK(ServerOptions{}.xet == XetMode::Large);
  tests::LargeSite hub;
  const std::string large = to_text(hub.store.publish("org/large", 687));
  hub.store.publish("org/smaller", 610);
  const auto head = [&](const std::string& repo) {
    return hub.ask({.method = "HEAD", .target = "/" + repo + "/resolve/main/large.bin"});
  };
  CHECK(head("org/large").body_bytes() > 45'000'000'000);
  CHECK(text(head("org/large").header("X-Xet-Hash")) == large);
  CHECK(head("org/large").header("Link").find("rel=\"xet-auth\"") != std::string_view::npos);
  CHECK(head("org/smaller").body_bytes() < xet_size_bytes_min(XetMode::Large).value());
  CHECK(head("org/smaller").header("X-Xet-Hash").empty());
  CHECK(head("org/smaller").header("Link").empty());
}

TEST_CASE("web/traps: 4, a redirect keeps query and prefix, and names no host") {
  Asking hub;
  hub.services.external_url = "https://hub.example.org/base";
  const Response got = hub.get("/ORG/TINY/resolve/main/config.json?download=true");
  CHECK(got.status == 307);
  CHECK(text(got.header("Location")) == "/base/org/tiny/resolve/main/config.json?download=true");
}

TEST_CASE("web/traps: 5, every answer about a file names the commit") {
  const Asking hub;
  const std::string commit = to_hex(hub.sample.commit("org/tiny"));

  struct Case {
    const char* target;
    Header header;
    int status;
  };

  const std::string etag = text(hub.get(kFile).header("ETag"));
  const Case cases[] = {
      {"/org/tiny/resolve/main/config.json", {"A", "b"}, 200},
      {"/org/tiny/resolve/main/config.json", {"Range", "bytes=0-1"}, 206},
      {"/org/tiny/resolve/main/config.json", {"Range", "bytes=900-"}, 416},
      {"/org/tiny/resolve/main/config.json", {"If-None-Match", etag}, 304},
      {"/org/tiny/resolve/main/none", {"A", "b"}, 404},
      {"/org/tiny/resolve/main/pytorch_model.bin", {"A", "b"}, 404},
      {"/org/tiny/raw/main/model.safetensors", {"A", "b"}, 200},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.target));
    const Response got = hub.ask({.target = c.target, .headers = {c.header}});
    CHECK(got.status == c.status);
    CHECK(text(got.header("X-Repo-Commit")) == commit);
  }
}

TEST_CASE("web/traps: 6, a refusal says its reason in a header, whatever the scheme") {
  tests::Guarded hub({.anonymous_read = true, .local = false});
  hub.set_gate("gpt2", storage::Gate::Manual);

  struct Case {
    const char* target;
    int status;
    const char* code;
  };

  constexpr Case kCases[] = {
      {"/org/tiny/resolve/main/none", 404, "EntryNotFound"},
      {"/org/tiny/resolve/none/config.json", 404, "RevisionNotFound"},
      {"/org/none/resolve/main/config.json", 404, "RepoNotFound"},
      {"/api/models/org/none", 404, "RepoNotFound"},
      {"/gpt2/resolve/main/config.json", 401, "GatedRepo"},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.target));
    const Response got = hub.get(c.target);
    CHECK(got.status == c.status);
    CHECK(text(got.header("X-Error-Code")) == c.code);
  }
}

TEST_CASE("web/traps: 7, Link is absolute, and llama.cpp's listing of most models needs none") {
  Asking hub;
  const Ask page{.target = "/api/models/org/tiny/tree/main?recursive=true&limit=2",
                 .headers = {{"Host", "hub.test"}}};
  CHECK(hub.ask(page).header("Link").starts_with("<http://hub.test/api/models/org/tiny/tree/"));
  hub.services.external_url = "https://hub.example.org/base";
  CHECK(hub.ask(page).header("Link").starts_with("<https://hub.example.org/base/api/models/"));
  CHECK(hub.get("/api/models/org/tiny/tree/main?recursive=true").header("Link").empty());

  for (const auto& [name, count] : {std::pair{"org/many", 1499U}, std::pair{"org/most", 10'500U}}) {
    std::vector<tests::SampleFile> files;
    for (std::size_t i = 0; i < count; ++i) files.push_back({"f/" + std::to_string(i), "same\n"});
    tests::publish(*hub.sample.store, {.id = name, .files = std::move(files), .facts = {}});
  }

  struct Case {
    const char* repo;
    const char* agent;
    const char* asked;
    std::size_t entries;
    bool more;
  };

  static constexpr Case kCases[] = {
      {"many", "hf_hub/1.0", "", 1000, true},
      {"many", "hf_hub/1.0", "&limit=100000", 1000, true},
      {"many", "hf_hub/1.0 llama-cpp", "", 1000, true},
      {"many", "", "&limit=700", 700, true},
      {"many", "llama-cpp", "", 1500, false},
      {"many", "llama-cpp/b9000-0123abcd", "&limit=100000", 1500, false},
      {"many", "llama-cpp", "&limit=1200", 1200, true},
      {"many", "llama-cpp", "&expand=1", 50, true},
      {"most", "llama-cpp", "", 10'000, true},
      {"most", "llama-cpp", "&limit=100000", 10'000, true},
      {"most", "hf_hub/1.0", "", 1000, true},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.repo + text(" ") + c.agent + c.asked);
    const std::string target =
        "/api/models/org/" + text(c.repo) + "/tree/main?recursive=true" + c.asked;
    const Response got = hub.ask({.target = target, .headers = {{"User-Agent", c.agent}}});
    CHECK(json_of(got).as_array().size() == c.entries);
    CHECK(got.header("Link").empty() != c.more);
  }
}

TEST_CASE("web/traps: 8, an upload's address needs no header, its check the user's own token") {
  tests::Guarded hub;
  Uploads uploads;
  hub.services.uploads = &uploads;
  const std::string writer = hub.token("writer", "", storage::Right::Write);
  const auto post = [&](std::string_view target, std::string_view body) {
    return hub.ask_as(writer, {.method = "POST", .target = target, .body = body});
  };
  REQUIRE(post("/api/repos/create", R"({"name":"me/new"})").status == 200);
  const std::string bytes = tests::pattern_bytes(1000);
  const std::string object = R"({"oid":")" + oid_of(bytes) + R"(","size":1000})";
  const Json batch = json_of(post("/me/new.git/info/lfs/objects/batch",
                                  R"({"operation":"upload","objects":[)" + object + "]}"));
  const Json* upload = batch.find("objects")->as_array().front().find_path({"actions", "upload"});
  REQUIRE(upload != nullptr);
  CHECK(upload->find("header") == nullptr);
  std::string href = upload->find("href")->as_string();
  href.erase(0, href.find('/', href.find("://") + 3));
  CHECK(hub.ask({.method = "PUT", .target = href, .body = bytes}).status == 200);
  const Ask verify{.method = "POST", .target = "/me/new.git/info/lfs/verify", .body = object};
  CHECK(hub.ask(verify).status == 401);
  CHECK(hub.ask_as(writer, verify).status == 200);
}

TEST_CASE("web/traps: 9, keys that clients read without asking whether they are there") {
  const Writing hub;
  hub.create("me/new");
  const Json preupload = json_of(hub.post("/api/models/me/new/preupload/main",
                                          R"({"files":[{"path":"a","size":1,"sample":"YQ=="}]})"));
  CHECK(preupload.find("files")->as_array().front().find("shouldIgnore") != nullptr);
  CHECK(json_of(hub.get("/api/models/me/new/refs")).find("converts") != nullptr);
  const Json info = json_of(hub.get("/api/models/me/new"));
  CHECK(info.find("siblings")->as_array().front().find("rfilename") != nullptr);
  const Json commits = json_of(hub.get("/api/models/me/new/commits/main"));
  const Json& commit = commits.as_array().front();
  CHECK(commit.find("authors")->as_array().front().find("user") != nullptr);
  const Json made =
      json_of(hub.commit("me/new",
                         "{\"key\":\"header\",\"value\":{\"summary\":\"x\"}}\n"
                         "{\"key\":\"file\",\"value\":{\"path\":\"a\",\"content\":\"b\"}}\n"));
  CHECK(made.find("commitUrl") != nullptr);
}

TEST_CASE("web/traps: 10, the hash is sha256 among siblings and oid in a tree") {
  const Asking hub;
  const std::string hash = oid_of(tests::pattern_bytes(tests::kWeightsBytes));
  const auto in = [&](const Json& entries, const char* name, const char* key) {
    for (const Json& entry : entries.as_array()) {
      if (entry.find(name)->as_string() != "model.safetensors") continue;
      const Json* found = entry.find_path({"lfs", key});
      return found == nullptr ? std::string() : found->as_string();
    }
    return std::string();
  };
  const Json info = json_of(hub.get("/api/models/org/tiny?blobs=true"));
  CHECK(in(*info.find("siblings"), "rfilename", "sha256") == hash);
  CHECK(in(json_of(hub.get("/api/models/org/tiny/tree/main")), "path", "oid") == hash);
}

TEST_CASE("web/traps: 11, ollama learns where a blob is and takes ranges of it without a token") {
  const Asking hub;
  const std::string blob = "/v2/org/tiny/blobs/sha256:" + oid_of(tests::pattern_bytes(5000));
  const Response probe =
      hub.ask({.target = blob,
               .headers = {{"Host", "hub:1"}, {"User-Agent", "ollama/0.33 (amd64 linux)"}}});
  CHECK((probe.status == 200 || probe.status == 307));
  const std::string location = text(probe.header("Location"));
  constexpr std::string_view kHost = "http://hub:1";
  REQUIRE(location.starts_with(kHost));
  const std::string target = location.substr(kHost.size());
  const Response part = hub.ask({.target = target, .headers = {{"Range", "bytes=10-19"}}});
  CHECK(part.status == 206);
  CHECK(body_of(part) == tests::pattern_bytes(5000).substr(10, 10));
}

TEST_CASE("web/traps: 12, what the JavaScript clients ask, as they ask it") {
  const Asking hub;
  CHECK(storage::make_token_text().starts_with("hf_"));
  CHECK(hub.get("/org/tiny/resolve/main/onnx/deep/model.onnx").status == 200);
  CHECK(hub.get("/org/tiny/resolve/HEAD/config.json").status == 200);
  const Response empty =
      hub.ask({.target = "/org/tiny/resolve/main/empty.txt", .headers = {{"Range", "bytes=0-0"}}});
  CHECK(empty.status == 200);
  CHECK(text(empty.header("Content-Range")) == "bytes */0");
  // transformers.js sends no token to hosts that are not the hub's: reading asks for none.
  CHECK(hub.get(kFile).status == 200);
}

TEST_CASE("web/traps: 13, a commit that moved is no 304, and one byte tells the size") {
  Asking hub;
  const std::string etag = text(hub.get(kFile).header("ETag"));
  const Ask again{.method = "HEAD", .target = kFile, .headers = {{"If-None-Match", etag}}};
  const std::string before = text(hub.ask(again).header("X-Repo-Commit"));
  tests::publish(
      *hub.sample.store,
      {.id = "org/tiny", .files = {{"config.json", "{\"model_type\": \"llama\"}\n"}}, .facts = {}});
  const Response moved = hub.ask(again);
  CHECK(moved.status == 200);
  CHECK(text(moved.header("ETag")) == etag);
  CHECK(text(moved.header("X-Repo-Commit")) != before);
  const Response probe = hub.ask({.target = kFile, .headers = {{"Range", "bytes=0-0"}}});
  CHECK(probe.status == 206);
  CHECK(text(probe.header("Content-Range")) == "bytes 0-0/24");
}

TEST_CASE("web/traps: 14, files are never compressed, and their ETag is their hash") {
  const tests::Running hub;
  auto client = hub.client();
  const auto got = client.ask("GET", kWeights, "Accept-Encoding: gzip, deflate, br\r\n");
  CHECK(got.header("Content-Encoding").empty());
  CHECK(got.header("Transfer-Encoding").empty());
  CHECK(got.header("Content-Length") == std::to_string(tests::kWeightsBytes));
  CHECK(got.header("ETag") == "\"" + oid_of(got.body) + "\"");
  const auto small = client.ask("GET", kFile, "Accept-Encoding: gzip\r\n");
  CHECK(small.header("ETag") == "\"" + to_hex(git_object_id("blob", as_bytes(small.body))) + "\"");
}

TEST_CASE("web/traps: 15, a token of Xet stands in headers and body, and ends at a second") {
  Asking hub;
  Xet xet(1);
  hub.services.xet = &xet;
  const Response got = hub.get("/api/models/org/tiny/xet-read-token/main");
  REQUIRE(got.status == 200);
  const Json json = json_of(got);
  CHECK(json.find("accessToken")->as_string() == got.header("X-Xet-Access-Token"));
  CHECK(json.find("casUrl")->as_string() == got.header("X-Xet-Cas-Url"));
  const std::uint64_t end = json.find("exp")->as_uint();
  CHECK(std::to_string(end) == got.header("X-Xet-Token-Expiration"));
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(system_clock().now().time_since_epoch());
  CHECK(end > static_cast<std::uint64_t>(now.count()));
  CHECK(end < static_cast<std::uint64_t>((now + std::chrono::hours(24)).count()));
}

TEST_CASE("web/traps: 16, every client's spelling of a flag, a list, a slash") {
  const Asking hub;
  const std::string whole = body_of(hub.get("/api/models/org/tiny/tree/main?recursive=true"));
  CHECK(whole.find("onnx/deep/model.onnx") != std::string::npos);
  for (const char* flag : {"True", "1"}) {
    CHECK(body_of(hub.get(std::string("/api/models/org/tiny/tree/main?recursive=") + flag)) ==
          whole);
  }
  const std::string sha = body_of(hub.get("/api/models/org/tiny?expand=sha"));
  CHECK(json_of(hub.get("/api/models/org/tiny?expand=sha")).find("sha") != nullptr);
  CHECK(body_of(hub.get("/api/models/org/tiny?expand[]=sha")) == sha);
  CHECK(body_of(hub.get("/api/models/org/tiny?expand%5B%5D=sha")) == sha);
  CHECK(hub.get("/org/tiny/resolve/refs%2Fpr%2F1/config.json").status == 200);
  CHECK(hub.get("/org/tiny/resolve/main/onnx%2Fdeep%2Fmodel.onnx").status == 200);
  CHECK(hub.get("/api/models/org/tiny/tree/main/onnx%2Fdeep").status == 200);
}

TEST_CASE("web/traps: 17, what is stored has no actions, and parts are counted exactly") {
  const Writing hub;
  hub.create("me/new");
  const std::string bytes = tests::pattern_bytes(4000);
  const std::string oid = oid_of(bytes);
  REQUIRE(
      handle(
          {.method = "PUT", .target = hub.upload_href("me/new", oid, bytes.size()), .body = bytes},
          hub.services)
          .status == 200);
  CHECK(body_of(hub.batch("me/new", oid, bytes.size())).find("actions") == std::string::npos);
  for (const std::uint64_t extra : {std::uint64_t{0}, std::uint64_t{1}}) {
    const std::uint64_t size = 3 * kPartBytes + extra;
    const Json batch = json_of(hub.batch("me/new", std::string(64, '7'), size));
    const Json* header =
        batch.find("objects")->as_array().front().find_path({"actions", "upload", "header"});
    REQUIRE(header != nullptr);
    CHECK(header->find("chunk_size")->as_string() == std::to_string(kPartBytes));
    CHECK(header->as_object().size() == 1 + 3 + extra);
  }
}

TEST_CASE("web/traps: 18, the revision of a Xet token may be the word None") {
  const Writing hub;
  hub.create("me/new");
  const Response by_name = hub.ask_trusted({.target = "/api/models/me/new/xet-write-token/main"});
  const Response by_none = hub.ask_trusted({.target = "/api/models/me/new/xet-write-token/None"});
  CHECK(by_none.status == by_name.status);
  CHECK(body_of(by_none) == body_of(by_name));
}

TEST_CASE("web/traps: 19, another hub's token is no reason to refuse what all may read") {
  const tests::Guarded hub({.anonymous_read = true, .local = false});
  CHECK(hub.get_as("hf_ofAnotherHub", kFile).status == 200);
  CHECK(hub.get_as("hf_ofAnotherHub", "/api/models/org/tiny").status == 200);
}

TEST_CASE("web/traps: 20, files that many clients look for are missed in the hub's words") {
  const Asking hub;
  for (const char* name : {"adapter_config.json", "chat_template.jinja", "processor_config.json",
                           "model.safetensors.index.json", "added_tokens.json"}) {
    CAPTURE(std::string(name));
    const Response got =
        hub.ask({.method = "HEAD", .target = std::string("/org/tiny/resolve/main/") + name});
    CHECK(got.status == 404);
    CHECK(got.header("X-Error-Code") == "EntryNotFound");
    CHECK_FALSE(got.header("X-Repo-Commit").empty());
    CHECK_FALSE(got.upstream_may_have_it);  // nobody waits for an upstream's word on it
  }
}

TEST_CASE("web/traps: 21, a repository that exists already is named with its URL") {
  const Writing hub;
  hub.create("me/new");
  const Response refused = hub.post("/api/repos/create", R"({"name":"me/new"})");
  CHECK(refused.status == 409);
  CHECK(json_of(refused).find("url")->as_string() == "http://127.0.0.1/me/new");
}

TEST_CASE("web/traps: 22, an empty file is never a pointer") {
  const Writing hub;
  hub.create("me/new");
  const Json preupload =
      json_of(hub.post("/api/models/me/new/preupload/main",
                       R"({"files":[{"path":"e.safetensors","size":0,"sample":""}]})"));
  CHECK(preupload.find("files")->as_array().front().find("uploadMode")->as_string() == "regular");
  REQUIRE(hub.commit("me/new",
                     "{\"key\":\"header\",\"value\":{\"summary\":\"x\"}}\n"
                     "{\"key\":\"file\",\"value\":{\"path\":\"e.safetensors\",\"content\":\"\"}}\n")
              .status == 200);
  CHECK(body_of(hub.get("/me/new/raw/main/e.safetensors")).empty());
  CHECK(body_of(hub.get("/api/models/me/new/tree/main")).find(R"("lfs")") == std::string::npos);
}

TEST_CASE("web/traps: 23, an answer says how much is left, errors too, so that nobody waits") {
  const tests::SampleStore sample;
  Server server({.listen = "127.0.0.1:0",
                 .threads = 1,
                 .guards = {.limits = {.anonymous = {10, 2, 0}}},
                 .version = "test"},
                *sample.store);
  server.start();
  tests::RawClient client(server.port());
  const auto missing = client.ask("GET", "/org/tiny/resolve/main/none");
  CHECK(missing.status == 404);
  CHECK(missing.header("RateLimit").starts_with(R"("resolvers";r=1;t=)"));
  CHECK(client.ask("GET", kFile).header("RateLimit").starts_with(R"("resolvers";r=0;t=)"));
  const auto refused = client.ask("GET", kFile);
  CHECK(refused.status == 429);
  CHECK(refused.header("RateLimit").starts_with(R"("resolvers";r=0;t=)"));
  CHECK_FALSE(refused.header("Retry-After").empty());
}

}  // namespace holdfast::web
