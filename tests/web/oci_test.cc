#include <doctest/doctest.h>

#include "tests/web/guarded.h"
#include "web/handler.h"
#include "web/hot_files.h"
#include "web/limits.h"

namespace holdfast::web {
namespace {

using tests::Ask;
using tests::Asking;
using tests::body_of;
using tests::json_of;

std::string text(std::string_view view) { return std::string(view); }

std::string digest_of(std::string_view bytes) {
  return "sha256:" + to_hex(sha256(as_bytes(bytes)));
}

}  // namespace

TEST_CASE("web/oci: a tag names the model that ollama and llama.cpp would choose") {
  struct Case {
    const char* tag;
    const char* file;  // "": 404
  };

  constexpr Case kCases[] = {
      {"latest", "m-Q4_K_M.gguf"},
      {"Q8_0", "m-Q8_0.gguf"},
      {"q8_0", "m-Q8_0.gguf"},
      {"IQ4_XS", "m-IQ4_XS.gguf"},
      {"Q4_XS", ""},
      {"m-Q8_0.gguf", "m-Q8_0.gguf"},
      {"M-Q8_0", "m-Q8_0.gguf"},
      {"F16", ""},
      {"Q2_K", ""},
      {"mmproj", ""},
      {"gguf", ""},
  };
  const Asking hub;
  tests::publish(*hub.sample.store, {.id = "org/many",
                                     .files = {{"F16/m-F16-00001-of-00002.gguf", "1", true},
                                               {"m-IQ4_XS.gguf", "2", true},
                                               {"m-Q4_K_M.gguf", "3", true},
                                               {"m-Q8_0.gguf", "4", true},
                                               {"m-Q2_K.gguf", "5", true, false},
                                               {"mmproj-F16.gguf", "6", true},
                                               {"template", "{{ .Prompt }}"}},
                                     .facts = {}});
  for (const Case& c : kCases) {
    CAPTURE(text(c.tag));
    const Response got = hub.get("/v2/org/many/manifests/" + text(c.tag));
    if (text(c.file).empty()) {
      CHECK(got.status == 404);
      CHECK(body_of(got).find("MANIFEST_UNKNOWN") != std::string::npos);
      continue;
    }
    REQUIRE(got.status == 200);
    const Json manifest = json_of(got);
    CHECK(manifest.find_path({"ggufFile", "rfilename"})->as_string() == c.file);
    CHECK(manifest.find_path({"mmprojFile", "rfilename"})->as_string() == "mmproj-F16.gguf");
    const auto& layers = manifest.find("layers")->as_array();
    REQUIRE(layers.size() == 3);
    CHECK(layers[0].find("mediaType")->as_string() == "application/vnd.ollama.image.model");
    CHECK(layers[1].find("mediaType")->as_string() == "application/vnd.ollama.image.projector");
    CHECK(layers[2].find("mediaType")->as_string() == "application/vnd.ollama.image.template");
  }
}

TEST_CASE("web/oci: llama.cpp gets the first part of a split model, where there is no whole one") {
  struct Case {
    const char* tag;
    const char* file;  // "": 404
  };

  constexpr Case kCases[] = {
      {"F16", "F16/m-F16-00001-of-00002.gguf"},
      {"m-F16-00001-of-00002", "F16/m-F16-00001-of-00002.gguf"},
      {"m-F16-00002-of-00002", ""},
      {"Q8_0", "m-Q8_0.gguf"},
      {"latest", "m-Q8_0.gguf"},
      {"mmproj", ""},
  };
  const Asking hub;
  tests::publish(*hub.sample.store, {.id = "org/split",
                                     .files = {{"F16/m-F16-00001-of-00002.gguf", "1", true},
                                               {"F16/m-F16-00002-of-00002.gguf", "2", true},
                                               {"m-Q8_0-00001-of-00001.gguf", "3", true},
                                               {"m-Q8_0.gguf", "4", true},
                                               {"mmproj-00001-of-00002.gguf", "5", true}},
                                     .facts = {}});
  for (const Case& c : kCases) {
    CAPTURE(text(c.tag));
    const std::string target = "/v2/org/split/manifests/" + text(c.tag);
    const Response got = hub.ask({.target = target, .headers = {{"User-Agent", "llama-cpp"}}});
    CHECK(got.status == (text(c.file).empty() ? 404 : 200));
    if (got.status != 200) continue;
    CHECK(json_of(got).find_path({"ggufFile", "rfilename"})->as_string() == c.file);
    CHECK(text(got.header("Vary")) == "Accept, User-Agent");
  }
}

TEST_CASE("web/oci: every digest of a manifest leads to bytes that have it") {
  const Asking hub;
  const Response got = hub.get("/v2/org/tiny/manifests/latest");
  const std::string manifest = body_of(got);
  CHECK(text(got.header("Docker-Content-Digest")) == digest_of(manifest));
  CHECK(text(got.header("Content-Type")) == "application/vnd.docker.distribution.manifest.v2+json");
  CHECK(body_of(hub.get("/v2/org/tiny/manifests/" + digest_of(manifest))) == manifest);
  CHECK(hub.get("/v2/org/tiny/manifests/" + digest_of("other")).status == 404);

  const Json json = json_of(got);
  Json::Array parts = json.find("layers")->as_array();
  parts.push_back(*json.find("config"));
  for (const Json& part : parts) {
    const std::string digest = part.find("digest")->as_string();
    CAPTURE(digest);
    const std::string target = "/v2/org/tiny/blobs/" + digest;
    const Response blob = hub.get(target);
    CHECK(blob.status == 200);
    CHECK(digest_of(body_of(blob)) == digest);
    CHECK(body_of(blob).size() == part.find("size")->as_uint());
    CHECK(hub.ask({.method = "HEAD", .target = target}).body_bytes() == body_of(blob).size());
    const Ask range{.target = target, .headers = {{"Range", "bytes=1-3"}}};
    CHECK(hub.ask(range).status == 206);
    CHECK(body_of(hub.ask(range)) == body_of(blob).substr(1, 3));
  }
  const Json config =
      json_of(hub.get("/v2/org/tiny/blobs/" + json.find_path({"config", "digest"})->as_string()));
  CHECK(config.find("model_family")->as_string() == "llama");
  CHECK(config.find("model_type")->as_string() == "1.5 M");
}

TEST_CASE("web/oci: who accepts an artifact gets one, whose layers have their files' names") {
  const Asking hub;
  constexpr std::string_view kType = "application/vnd.oci.image.manifest.v1+json";
  const Ask ask{.target = "/v2/org/tiny/manifests/Q4_0",
                .headers = {{"Accept", "application/vnd.docker.distribution.manifest.v2+json"},
                            {"accept", kType}}};
  const Response got = hub.ask(ask);
  REQUIRE(got.status == 200);
  CHECK(got.header("Content-Type") == kType);
  CHECK(got.header("Vary") == "Accept, User-Agent");
  const std::string manifest = body_of(got);
  CHECK(text(got.header("Docker-Content-Digest")) == digest_of(manifest));
  const Response pinned = hub.get("/v2/org/tiny/manifests/" + digest_of(manifest));
  CHECK(body_of(pinned) == manifest);
  CHECK(pinned.header("Content-Type") == kType);
  const Json json = json_of(got);
  CHECK(json.find("mediaType")->as_string() == kType);
  CHECK_FALSE(json.find("artifactType")->as_string().empty());
  const Json& model = json.find("layers")->as_array().front();
  CHECK(model.find("digest")->as_string() == digest_of(tests::pattern_bytes(5000)));
  CHECK(model.find_path({"annotations", "org.opencontainers.image.title"})->as_string() ==
        "tiny-Q4_0.gguf");
  const std::string config = json.find_path({"config", "digest"})->as_string();
  CHECK(body_of(hub.get("/v2/org/tiny/blobs/" + config)) == "{}");
}

TEST_CASE("web/oci: tags are the models that there are") {
  const Asking hub;
  CHECK(body_of(hub.get("/v2/org/tiny/tags/list")) ==
        R"({"name":"org/tiny","tags":["latest","tiny-Q4_0"]})");
  CHECK(body_of(hub.get("/v2/gpt2/tags/list")) == R"({"name":"gpt2","tags":[]})");
  CHECK(hub.get("/v2/org/none/tags/list").status == 404);
  for (const char* tag : {"latest", "tiny-Q4_0"}) {
    CHECK(hub.get(std::string("/v2/org/tiny/manifests/") + tag).status == 200);
  }
}

TEST_CASE("web/oci: tags come in pages, in the order of a registry") {
  const Asking hub;
  tests::publish(*hub.sample.store, {.id = "org/many",
                                     .files = {{"B.gguf", "1", true},
                                               {"a.gguf", "2", true},
                                               {"b.gguf", "3", true},
                                               {"z.gguf", "4", true}},
                                     .facts = {}});

  struct Case {
    const char* query;
    const char* tags;
    const char* next;  // of the Link; "": there is none
  };

  constexpr Case kCases[] = {
      {"", R"(["a","B","b","latest","z"])", ""},
      {"?n=2", R"(["a","B"])", "?n=2&last=B"},
      {"?n=2&last=B", R"(["b","latest"])", "?n=2&last=latest"},
      {"?last=latest&n=2", R"(["z"])", ""},
      {"?n=5", R"(["a","B","b","latest","z"])", ""},
      {"?n=18446744073709551615", R"(["a","B","b","latest","z"])", ""},
      {"?n=0", "[]", ""},
      {"?last=LATEX", R"(["z"])", ""},  // which need not be a tag
      {"?last=z&n=1", "[]", ""},
  };
  for (const Case& c : kCases) {
    CAPTURE(text(c.query));
    const Response got = hub.get("/v2/org/many/tags/list" + text(c.query));
    CHECK(body_of(got) == R"({"name":"org/many","tags":)" + text(c.tags) + "}");
    const std::string link =
        "<http://127.0.0.1/v2/org/many/tags/list" + text(c.next) + ">; rel=\"next\"";
    CHECK(text(got.header("Link")) == (text(c.next).empty() ? "" : link));
  }
  for (const char* n : {"", "-1", "x", "1x", "99999999999999999999"}) {
    CAPTURE(text(n));
    CHECK(hub.get("/v2/org/many/tags/list?n=" + text(n)).status == 400);
  }
}

TEST_CASE("web/oci: a pull goes on whatever becomes of the branch and of what is known meanwhile") {
  const Asking hub;
  auto& catalog = hub.sample.store->catalog();
  const auto id = storage::parse_repo_id("org/tiny");
  const GitOid first = hub.sample.commit("org/tiny");
  const std::string manifest = body_of(hub.get("/v2/org/tiny/manifests/latest"));
  const Json json = parse_json(manifest, "manifest");
  // A scan that finds out more, and so many revisions that nobody looks through all of them.
  const std::pair<std::string, Json> scanned{
      "file/tiny-Q4_0.gguf",
      Json::Object{{"metadata", Json::Object{{"general.architecture", "x"}}}}};
  catalog.put_facts(id, first, {&scanned, 1});
  GitOid parent = first;
  for (std::size_t i = 0; i <= kOciRevisionsMax; ++i) {
    parent = tests::publish(*hub.sample.store,
                            {.id = "org/tiny",
                             .files = {{"tiny-Q8_0.gguf", tests::pattern_bytes(6000 + i), true}},
                             .facts = {},
                             .parents = {parent}});
  }

  const std::string pinned = "/v2/org/tiny/manifests/" + digest_of(manifest);
  CHECK(body_of(hub.get("/v2/org/tiny/manifests/latest")) != manifest);
  CHECK(body_of(hub.get(pinned)) == manifest);
  const std::string config = json.find_path({"config", "digest"})->as_string();
  for (const std::string& digest :
       {config, json.find("layers")->as_array().front().find("digest")->as_string()}) {
    CAPTURE(digest);
    CHECK(digest_of(body_of(hub.get("/v2/org/tiny/blobs/" + digest))) == digest);
  }
  // A configuration is no manifest, and a manifest no blob.
  CHECK(hub.get("/v2/org/tiny/manifests/" + config).status == 404);
  CHECK(hub.get("/v2/org/tiny/blobs/" + digest_of(manifest)).status == 404);
  catalog.remove(id, first);
  CHECK(hub.get(pinned).status == 404);
}

TEST_CASE("web/oci: a digest leads to what another mirror of the same files has handed out") {
  const Asking one, other;
  const std::string manifest = body_of(one.get("/v2/org/tiny/manifests/latest"));
  CHECK(body_of(other.get("/v2/org/tiny/manifests/" + digest_of(manifest))) == manifest);
  const std::string config =
      parse_json(manifest, "manifest").find_path({"config", "digest"})->as_string();
  CHECK(digest_of(body_of(other.get("/v2/org/tiny/blobs/" + config))) == config);
}

TEST_CASE("web/oci: ollama asks where a blob is, and gets an address that serves its parts") {
  Asking hub;
  HotFiles hot;
  hub.services.hot_files = &hot;
  const std::string bytes = tests::pattern_bytes(5000);
  const std::string target = "/v2/org/tiny/blobs/" + digest_of(bytes);
  const std::string direct = target + "?direct=true";
  for (int round = 0; round < 2; ++round) {
    const Ask probe{.target = target,
                    .headers = {{"Host", "hub:1"}, {"User-Agent", "ollama/0.33 (amd64 linux)"}}};
    const Response where = hub.ask(probe);
    CHECK(where.status == 200);
    CHECK(where.body_bytes() == 0);
    CHECK(text(where.header("Location")) == "http://hub:1" + direct);
    const Ask part{.target = direct,
                   .headers = {{"User-Agent", "ollama/0.33"}, {"Range", "bytes=4000-4999"}}};
    CHECK(hub.ask(part).status == 206);
    CHECK(body_of(hub.ask(part)) == bytes.substr(4000));
    CHECK(body_of(hub.get(target)) == bytes);
  }
}

TEST_CASE("web/oci: what is missing is JSON in the registry's words") {
  const Asking hub;
  const std::string elsewhere = digest_of("a,b\n1,2\n");  // data.csv of another repository
  for (const std::string& target :
       {"/v2/org/tiny/blobs/" + elsewhere, std::string("/v2/org/tiny/blobs/sha256:00"),
        std::string("/v2/org/tiny/blobs/md5:0"), std::string("/v2/org/none/manifests/latest"),
        std::string("/v2/org/none/tags/list"), std::string("/v2/_catalog"),
        std::string("/v2/gpt2/manifests/latest")}) {
    CAPTURE(target);
    const Response got = hub.ask({.target = target, .headers = {{"Accept", "text/html"}}});
    CHECK(got.status == 404);
    CHECK(json_of(got).find("error") != nullptr);
  }
  CHECK(hub.get("/v2/").status == 200);
  CHECK(hub.ask({.method = "HEAD", .target = "/v2/org/tiny/manifests/Q4_0"}).status == 200);
}

TEST_CASE("web/oci: whatever is refused is refused in a registry's words") {
  tests::Guarded hub({.anonymous_read = true, .local = false});
  hub.set_private("gpt2");
  hub.set_gate("Example/CamelCase", storage::Gate::Manual);
  const std::string reader = hub.token("reader");

  struct Case {
    Ask ask;
    bool signed_in = false;
    std::chrono::seconds limited{0};
    int status = 0;
    const char* code = "";
  };

  const Case cases[] = {
      {.ask = {.target = "/v2/gpt2/tags/list"}, .status = 401, .code = "UNAUTHORIZED"},
      {.ask = {.target = "/v2/Example/CamelCase/manifests/latest"},
       .signed_in = true,
       .status = 403,
       .code = "DENIED"},
      {.ask = {.target = "/v2/org/none/tags/list"},
       .signed_in = true,
       .status = 404,
       .code = "NAME_UNKNOWN"},
      {.ask = {.target = "/v2/org/tiny/manifests/none"}, .status = 404, .code = "MANIFEST_UNKNOWN"},
      {.ask = {.target = "/v2/org/tiny/blobs/sha256:0"}, .status = 404, .code = "BLOB_UNKNOWN"},
      {.ask = {.target = "/v2/_catalog"}, .status = 404, .code = "UNSUPPORTED"},
      {.ask = {.method = "POST", .target = "/v2/org/tiny/blobs/uploads/"},
       .status = 405,
       .code = "UNSUPPORTED"},
      {.ask = {.target = "/v2/org/tiny/tags/list"},
       .limited = std::chrono::seconds(7),
       .status = 429,
       .code = "TOOMANYREQUESTS"},
      {.ask = {.target = "/v2/org/tiny/tags/list?n=x"}, .status = 400, .code = "UNKNOWN"},
      {.ask = {.target = "/v2/org//tiny"}, .status = 400, .code = "UNKNOWN"},
  };
  for (const Case& c : cases) {
    CAPTURE(text(c.ask.target));
    const std::string bearer = "Bearer " + reader;
    std::vector<Header> headers{{"Accept", "text/html"}};
    if (c.signed_in) headers.push_back({"Authorization", bearer});
    const Response got = handle(
        {.method = c.ask.method, .target = c.ask.target, .headers = headers, .limited = c.limited},
        hub.services);
    CHECK(got.status == c.status);
    const Json json = json_of(got);
    const Json& error = json.find("errors")->as_array().front();
    CHECK(error.find("code")->as_string() == c.code);
    CHECK(*error.find("message") == *json.find("error"));
  }
}

}  // namespace holdfast::web
