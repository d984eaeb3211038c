#include <doctest/doctest.h>

#include "tests/web/asking.h"
#include "web/handler.h"
#include "web/quotas.h"

namespace holdfast::web {
namespace {

using tests::Asking;
using tests::body_of;
using tests::json_of;

}  // namespace

TEST_CASE("web/hub_small: every path of the hub's API is answered with JSON, never with a page") {
  struct Case {
    const char* target;
    int status;
  };

  constexpr Case kCases[] = {
      {"/api/models/org/tiny/auth-check", 200},
      {"/api/models/gpt2/auth-check", 200},
      {"/api/datasets/org/data/auth-check", 200},
      {"/api/models/org/none/auth-check", 404},
      {"/api/models/org/tiny/auth-check/write", 403},
      {"/api/models/org/tiny/treesize/main", 200},
      {"/api/models/org/tiny/treesize/main/onnx", 200},
      {"/api/models/org/tiny/treesize/main/none", 404},
      {"/api/models/org/tiny/discussions", 200},
      {"/api/models/org/tiny/discussions?p=0&author=x", 200},
      {"/api/models/org/none/discussions", 404},
      {"/api/models/org/tiny/discussions/1", 404},
      {"/api/models-tags-by-type", 200},
      {"/api/datasets-tags-by-type", 200},
      {"/api/spaces", 200},
      {"/api/spaces?search=x&limit=3", 200},
      {"/api/spaces/org/x", 404},
      {"/api/spaces/org/x/runtime", 404},
      {"/api/collections", 200},
      {"/api/collections/org/x-1", 404},
      {"/api/daily_papers", 200},
      {"/api/papers/search?q=x", 200},
      {"/api/papers/2401.00001", 404},
      {"/api/users/x/overview", 404},
      {"/api/users/x/likes", 404},
      {"/api/organizations/x/overview", 404},
      {"/api/organizations/x/members", 404},
      {"/api/buckets/x/y", 404},
      {"/api/jobs/x", 404},
      {"/api/kernels/x/y", 404},
      {"/api/models/org/tiny/lfs-files", 200},
      {"/api/models/org/tiny/compare/..v1", 400},
      {"/api/models/org/none/compare/main..v1?raw=true", 404},
      {"/api/models/org/tiny/user-access-request/pending", 403},
      {"/api/models/org/tiny/xet-read-token/main", 404},
      {"/api/models/org/tiny/notebook/main/x.ipynb", 404},
      {"/api/datasets/org/data/parquet", 404},
      {"/api/datasets/org/data/croissant", 404},
      {"/api/trending", 404},
      {"/api/quicksearch?q=x", 404},
      {"/api/settings/webhooks", 404},
      {"/api/notifications", 404},
      {"/api/resolve-cache/models/org/tiny/main/config.json", 404},
      {"/api/events", 404},
  };
  const Asking hub;
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.target));
    for (const char* method : {"GET", "HEAD"}) {
      const Response got =
          hub.ask({.method = method, .target = c.target, .headers = {{"Accept", "text/html,*/*"}}});
      CHECK(got.status == c.status);
      CHECK(got.header("Content-Type") == "application/json; charset=utf-8");
      const Json json = json_of(got);
      CHECK((c.status == 200 || json.find("error") != nullptr));
    }
  }
  CHECK(hub.get("/api/models/org/none/auth-check").header("X-Error-Code") == "RepoNotFound");
  CHECK(hub.get("/api/spaces/org/x").header("X-Error-Code") == "RepoNotFound");
  CHECK(body_of(hub.get("/api/models/org/tiny/discussions")) ==
        "{\"discussions\":[],\"count\":0,\"start\":0}");
}

TEST_CASE("web/hub_small: a directory's size is that of all its files") {
  const Asking hub;
  CHECK(body_of(hub.get("/api/models/org/tiny/treesize/main/onnx")) ==
        R"({"path":"onnx","size":70005})");
  CHECK(body_of(hub.get("/api/models/gpt2/treesize/main")) == R"({"path":"/","size":2})");
}

TEST_CASE("web/hub_small: tags by type are those of what is here") {
  const Asking hub;
  const Json tags = json_of(hub.get("/api/models-tags-by-type"));
  const auto ids = [&](const char* type) {
    std::string all;
    const Json* list = tags.find(type);
    if (list == nullptr) return all;
    for (const Json& tag : list->as_array()) {
      CHECK(tag.find("type")->as_string() == type);
      all += tag.find("id")->as_string() + "=" + tag.find("label")->as_string() + " ";
    }
    return all;
  };
  CHECK(ids("pipeline_tag") == "text-generation=text-generation ");
  CHECK(ids("library") == "gguf=gguf safetensors=safetensors transformers=transformers ");
  CHECK(ids("language") == "en=en ");
  CHECK(ids("license") == "license:mit=mit ");
  CHECK(ids("base_model") == "base_model:org/base=org/base ");
  CHECK(ids("other").find("tiny=tiny ") != std::string::npos);
  CHECK(json_of(hub.get("/api/datasets-tags-by-type")).is_object());
}

TEST_CASE("web/repository_json: base models are named, with the ids of those that are here") {
  const Asking hub;
  const auto base_models = [&] {
    const Json info = json_of(hub.get("/api/models/org/tiny?expand=baseModels"));
    return to_text(*info.find("baseModels"));
  };
  CHECK(base_models() == "{\"models\":[{\"id\":\"org/base\"}]}");
  tests::publish(*hub.sample.store, {.id = "org/base", .files = {{"a", "b"}}, .facts = {}});
  const std::string id = json_of(hub.get("/api/models/org/base")).find("_id")->as_string();
  CHECK(base_models() == "{\"models\":[{\"_id\":\"" + id + "\",\"id\":\"org/base\"}]}");
  CHECK(json_of(hub.get("/api/models/gpt2?expand=baseModels")).find("baseModels") == nullptr);
}

TEST_CASE("web/repository_json: usedStorage has all revisions, and each content once") {
  Asking hub;
  auto& catalog = hub.sample.store->catalog();
  Quotas remembering({}, catalog);
  for (Quotas* const quotas : {&remembering, static_cast<Quotas*>(nullptr)}) {
    hub.services.quotas = quotas;
    const std::string id = quotas == nullptr ? "lab/plain" : "lab/remembered";
    const auto used = [&] {
      const Json info = json_of(hub.get("/api/models/" + id + "?expand=usedStorage"));
      return info.find("usedStorage")->as_uint();
    };
    const auto publish = [&](std::vector<tests::SampleFile> files) {
      return tests::publish(*hub.sample.store, {.id = id, .files = std::move(files), .facts = {}});
    };
    const GitOid first = publish({{"a", "12345"}, {"b", "12345"}, {"c", "123"}});
    CHECK(used() == 8);
    CHECK(used() == 8);
    publish({{"a", "12345"}, {"d", "12345678", true}});
    CHECK(used() == 16);
    publish({{"e", "1", true, false}});  // not stored
    CHECK(used() == 16);
    catalog.remove(storage::parse_repo_id(id), first);
    CHECK(used() == 13);
  }
}

}  // namespace holdfast::web
