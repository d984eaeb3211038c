// Every field of a repository's info, with its value: as upstream said it, as the files and the
// card do, and of a revision that an older version scanned.
#include <algorithm>

#include <doctest/doctest.h>

#include "tests/web/guarded.h"
#include "web/search_index.h"

namespace holdfast::web {
namespace {

using tests::Asking;
using tests::body_of;
using tests::json_of;

std::string text(std::string_view view) { return std::string(view); }

// The field as text, "" when it is not there.
std::string field_of(const Json& info, std::string_view name) {
  const Json* value = info.find(name);
  return value == nullptr ? "" : to_text(*value);
}

Json parsed(std::string_view json) { return parse_json(json, "test"); }

constexpr std::string_view kCard = R"({
  "front_matter": {"license": "mit", "base_model": "org/base", "base_model_relation": "quantized",
                   "model-index": [{"name": "own"}], "widget": [{"text": "Hello"}]},
  "license": "mit", "tags": ["small"], "pipeline_tag": "text-generation",
  "library_name": "transformers", "base_model": ["org/base"],
  "parameters": {"total": 12, "by_dtype": {"BF16": 12}}, "formats": ["gguf", "safetensors"]})";

constexpr std::string_view kConfig = R"({"architecture": "OwnForCausalLM"})";

constexpr std::string_view kHub = R"({
  "config": {"architectures": ["OwnForCausalLM"], "model_type": "own",
             "auto_map": {"AutoModelForCausalLM": "modeling.Own"}},
  "mask_token": "[MASK]",
  "eval_results": [{"dataset": {"id": "d/s", "task_id": "t"}, "value": 0.5}]})";

constexpr std::string_view kGguf = R"({
  "kind": "gguf", "parameters": {"total": 34},
  "metadata": {"general.architecture": "llama", "llama.context_length": 2048,
               "tokenizer.chat_template": "{{x}}", "tokenizer.ggml.bos_token": "<s>",
               "tokenizer.ggml.eos_token": "</s>", "quantize.imatrix.file": "i.dat"}})";

constexpr std::string_view kUpstream = R"({
  "likes": 12, "downloads": 345, "downloadsAllTime": 6789, "trendingScore": 7,
  "mask_token": "<mask>", "description": "It says.", "citation": "@x", "pipeline_tag": "fill-mask",
  "library_name": "diffusers", "tags": ["arxiv:1"], "cardData": {"license": "apache-2.0"},
  "model-index": [{"name": "said"}], "config": {"model_type": "said"},
  "transformersInfo": {"auto_model": "AutoModel"}, "widgetData": [{"text": "Hi"}],
  "safetensors": {"parameters": {"F32": 1}, "total": 1}, "gguf": {"total": 2},
  "evalResults": [{"dataset": {"id": "u/p", "task_id": "t"}, "value": 1}]})";

struct Site : Asking {
  Site() {
    auto& store = *sample.store;
    tests::publish(store, {.id = "org/base", .files = {{"a", "b"}}, .facts = {}});
    tests::publish(store, {.id = "org/own",
                           .files = {{"README.md", "12345"}, {"m.gguf", "1234567", true}},
                           .facts = {{"card", parsed(kCard)},
                                     {"config", parsed(kConfig)},
                                     {"hub", parsed(kHub)},
                                     {"file/m.gguf", parsed(kGguf)}}});
    tests::publish(store, {.id = "org/said",
                           .files = {{"a", "b"}},
                           .facts = {},
                           .gated = "manual",
                           .upstream_info = parsed(kUpstream).as_object()});
    tests::publish(store,
                   {.id = "org/old",
                    .files = {{"a", "b"}},
                    .facts = {{"config", parsed(R"({"architecture": "BertForMaskedLM"})")}}});
    commit_later("org/own");
    index.start();
    REQUIRE(index.wait_until_whole());
    services.search = &index;
  }

  // A day after the repository was made.
  void commit_later(const std::string& name) {
    auto& catalog = sample.store->catalog();
    const auto id = storage::parse_repo_id(name);
    const GitOid commit = sample.commit(name);
    storage::Publication again{.repository = *catalog.find_repository(id),
                               .revision = *catalog.find_revision(id, commit),
                               .files = catalog.files(id, commit, "")};
    again.revision.time = *parse_time("2026-01-03T03:04:05.000Z");
    catalog.publish(again);
  }

  std::string value(const std::string& repo, const std::string& field) const {
    const Response got = get("/api/models/org/" + repo + "?expand=" + field);
    REQUIRE(got.status == 200);
    return field_of(json_of(got), field);
  }

  SearchIndex index{*sample.store};
};

struct Row {
  const char* field;
  std::string own, said, old = "";
};

// All that clients may ask for (hub-protocol 4.1), and what the hub has for datasets.
std::vector<Row> rows(const Site& hub) {
  const auto sha = [&](const char* name) { return "\"" + to_hex(hub.sample.commit(name)) + "\""; };
  const auto id = [&](const char* name) {
    return field_of(json_of(hub.get(std::string("/api/models/") + name)), "_id");
  };
  const std::string no = "false", org = R"("org")", day = R"("2026-01-02T03:04:05.000Z")";
  const std::string one_file = R"([{"rfilename":"a"}])";
  return {
      {"author", org, org, org},
      {"sha", sha("org/own"), sha("org/said"), sha("org/old")},
      {"lastModified", R"("2026-01-03T03:04:05.000Z")", day, day},
      {"createdAt", day, day, day},
      {"private", no, no, no},
      {"gated", no, R"("manual")", no},
      {"disabled", no, no, no},
      {"likes", "0", "12", "0"},
      {"downloads", "0", "345", "0"},
      {"downloadsAllTime", "0", "6789", "0"},
      {"trendingScore", "0", "7", "0"},
      {"tags",
       R"(["small","gguf","safetensors","transformers","text-generation","license:mit",)"
       R"("base_model:org/base","base_model:quantized:org/base"])",
       R"(["arxiv:1","diffusers","fill-mask","license:apache-2.0"])", "[]"},
      {"pipeline_tag", R"("text-generation")", R"("fill-mask")"},
      {"library_name", R"("transformers")", R"("diffusers")"},
      {"mask_token", R"("[MASK]")", R"("<mask>")"},
      {"config",
       R"({"architectures":["OwnForCausalLM"],"model_type":"own",)"
       R"("auto_map":{"AutoModelForCausalLM":"modeling.Own"}})",
       R"({"model_type":"said"})", R"({"architectures":["BertForMaskedLM"]})"},
      {"transformersInfo",
       R"({"auto_model":"AutoModelForCausalLM","custom_class":"modeling.Own",)"
       R"("pipeline_tag":"text-generation","processor":"AutoTokenizer"})",
       R"({"auto_model":"AutoModel"})",
       R"({"auto_model":"AutoModelForMaskedLM","processor":"AutoTokenizer"})"},
      {"cardData",
       R"({"license":"mit","base_model":"org/base","base_model_relation":"quantized",)"
       R"("model-index":[{"name":"own"}],"widget":[{"text":"Hello"}]})",
       R"({"license":"apache-2.0"})"},
      {"model-index", R"([{"name":"own"}])", R"([{"name":"said"}])"},
      {"safetensors", R"({"parameters":{"BF16":12},"total":12})",
       R"({"parameters":{"F32":1},"total":1})"},
      {"gguf",
       R"({"total":34,"architecture":"llama","context_length":2048,"chat_template":"{{x}}",)"
       R"("bos_token":"<s>","eos_token":"</s>","quantize_imatrix_file":"i.dat"})",
       R"({"total":2})"},
      {"siblings", R"([{"rfilename":"README.md"},{"rfilename":"m.gguf"}])", one_file, one_file},
      {"usedStorage", "12", "1", "1"},
      {"description", "", R"("It says.")"},
      {"citation", "", R"("@x")"},
      {"baseModels",
       R"({"relation":"quantized","models":[{"_id":)" + id("org/base") + R"(,"id":"org/base"}]})",
       ""},
      {"childrenModelCount", "0", "0", "0"},
      {"evalResults", R"([{"dataset":{"id":"d/s","task_id":"t"},"value":0.5}])",
       R"([{"dataset":{"id":"u/p","task_id":"t"},"value":1}])"},
      {"widgetData", R"([{"text":"Hello"}])", R"([{"text":"Hi"}])"},
      // What a mirror cannot know.
      {"inference", "", ""},
      {"inferenceProviderMapping", "", ""},
      {"paperswithcode_id", "", ""},
      {"resourceGroup", "", ""},
      {"securityRepoStatus", "", ""},
      {"spaces", "", ""},
      {"xetEnabled", "", ""},
  };
}

// The names of all members, each once with a space behind it.
std::string names_of(const Json& json) {
  std::string names;
  for (const auto& [name, value] : json.as_object()) names += name + " ";
  return names;
}

// Two gated models, of which the token "friend" has been accepted; all that is "secret" stands in
// files.
void publish_gated(tests::Guarded& hub) {
  const Json::Object upstream{
      {"config", parsed(R"({"architectures": ["OwnForCausalLM"], "model_type": "own",
                            "auto_map": {"AutoModelForCausalLM": "secret.Own"},
                            "tokenizer_config": {"chat_template": "secret"}})")},
      {"mask_token", "secret"},
      {"transformersInfo", parsed(R"({"auto_model": "AutoModelForCausalLM",
                                      "custom_class": "secret.Own"})")},
      {"gguf", parsed(R"({"total": 34, "architecture": "llama", "chat_template": "secret"})")},
      {"safetensors", parsed(R"({"parameters": {"BF16": 12}, "total": 12})")},
      {"evalResults", parsed(R"([{"value": "secret"}])")}};
  const Json own = parsed(R"({
    "config": {"architectures": ["OwnForCausalLM"], "model_type": "own",
               "auto_map": {"AutoModelForCausalLM": "secret.Own"},
               "tokenizer_config": {"chat_template": "secret"}},
    "mask_token": "secret",
    "eval_results": [{"dataset": {"id": "d/s", "task_id": "t"}, "value": "secret"}]})");
  const Json gguf = parsed(R"({
    "kind": "gguf", "parameters": {"total": 34},
    "metadata": {"general.architecture": "llama", "tokenizer.chat_template": "secret",
                 "tokenizer.ggml.bos_token": "secret"}})");
  tests::publish(*hub.sample.store, {.id = "gated/files",
                                     .files = {{"m.gguf", "1234567", true}},
                                     .facts = {{"card", parsed(kCard)},
                                               {"config", parsed(kConfig)},
                                               {"hub", own},
                                               {"file/m.gguf", gguf}}});
  tests::publish(
      *hub.sample.store,
      {.id = "gated/said", .files = {{"a", "b"}}, .facts = {}, .upstream_info = upstream});
  for (const char* repo : {"gated/files", "gated/said"}) {
    hub.set_gate(repo, storage::Gate::Manual);
    hub.book().put_request({.repo = storage::parse_repo_id(repo),
                            .who = "token:friend",
                            .standing = storage::Standing::Accepted});
  }
}

}  // namespace

TEST_CASE("web/repository_json: every field that clients may ask for has its value") {
  const Site hub;
  for (const Row& row : rows(hub)) {
    CAPTURE(std::string(row.field));
    CHECK(hub.value("own", row.field) == row.own);
    CHECK(hub.value("said", row.field) == row.said);
    CHECK(hub.value("old", row.field) == row.old);
  }
  CHECK(hub.value("base", "childrenModelCount") == "2");  // and org/tiny
}

TEST_CASE("web/repository_json: without expand there is what the hub shows by itself") {
  const Site hub;
  const Json info = json_of(hub.get("/api/models/org/own"));
  CHECK(names_of(info) ==
        "_id id modelId author sha lastModified createdAt private gated disabled likes downloads "
        "tags pipeline_tag library_name mask_token config transformersInfo cardData model-index "
        "safetensors gguf siblings usedStorage ");
  for (const Row& row : rows(hub)) {
    CAPTURE(std::string(row.field));
    if (info.find(row.field) != nullptr) CHECK(field_of(info, row.field) == row.own);
  }
}

TEST_CASE("web/hub_list: entries have the fields that were asked for") {
  const std::string always = "_id id modelId ";
  const std::string listed =
      always +
      "author lastModified createdAt private gated likes downloads tags pipeline_tag library_name ";

  struct Case {
    const char* query;
    std::string names;
  };

  const Case cases[] = {
      {"", listed},
      {"&full=false&cardData=0&config=False", listed},
      {"&cardData=true", listed + "cardData "},
      {"&config=1", listed + "config "},
      {"&config=true&cardData=true", listed + "config cardData "},
      {"&full=true",
       always + "author sha lastModified createdAt private gated disabled likes downloads tags "
                "pipeline_tag library_name mask_token config transformersInfo cardData model-index "
                "safetensors gguf siblings usedStorage "},
      {"&expand=sha", always + "sha "},
      {"&expand=downloadsAllTime&expand[]=gguf", always + "gguf downloadsAllTime "},
      {"&expand=sha&full=true&cardData=true", always + "sha "},
  };
  Site hub;
  // By the index, by looking through the catalog, and in the catalog's own order.
  for (const char* by : {"search=own", "search=own&sort=likes", "author=org"}) {
    for (SearchIndex* const index : {&hub.index, static_cast<SearchIndex*>(nullptr)}) {
      hub.services.search = index;
      for (const Case& c : cases) {
        CAPTURE(text(by) + c.query);
        const Response got = hub.get("/api/models?" + text(by) + c.query);
        REQUIRE(got.status == 200);
        const Json list = json_of(got);
        const auto& entries = list.as_array();
        const auto own = std::ranges::find_if(
            entries, [](const Json& entry) { return entry.find("id")->as_string() == "org/own"; });
        REQUIRE(own != entries.end());
        std::string names = names_of(*own);
        CHECK(names == c.names);
        for (const Row& row : rows(hub)) {
          const bool counted = text(row.field) == "childrenModelCount";
          if (!counted && own->find(row.field) != nullptr)
            CHECK(field_of(*own, row.field) == row.own);
        }
      }
    }
  }
  CHECK(hub.get("/api/models?expand=nonsense").status == 400);
}

TEST_CASE("web/hub_list: a row's config is short, whoever said it") {
  struct Case {
    const char* name;
    std::string config, listed;
    std::string task = "";  // the class of transformersInfo
  };

  const std::string long_text(9000, 'x');
  const std::string kind = R"({"architectures":["OwnForCausalLM"],"model_type":"own"})";
  const std::string open = R"({"architectures":["OwnForCausalLM"],"model_type":"own",)";
  const std::string map = R"("auto_map":{"AutoModelForCausalLM":"modeling.Own"})";
  const Case cases[] = {
      {"template", open + map + R"(,"tokenizer_config":{"chat_template":"{{x}}"}})",
       open + map + "}", "modeling.Own"},
      {"big-template",
       open + map + R"(,"tokenizer_config":{"chat_template":")" + long_text + "\"}}",
       open + map + "}", "modeling.Own"},
      {"big-map", open + R"("auto_map":{"AutoModelForCausalLM":")" + long_text + "\"}}", kind},
      {"big-name", R"({"architectures":[")" + long_text + R"("],"model_type":"own"})", ""},
  };
  Asking hub;
  for (const Case& c : cases) {
    const Json config = parsed(c.config);
    tests::publish(*hub.sample.store, {.id = "files/" + text(c.name),
                                       .files = {{"a", "b"}},
                                       .facts = {{"config", parsed(kConfig)},
                                                 {"hub", Json::Object{{"config", config}}}}});
    tests::publish(*hub.sample.store, {.id = "said/" + text(c.name),
                                       .files = {{"a", "b"}},
                                       .facts = {{"config", parsed(kConfig)}},
                                       .upstream_info = {{"config", config}}});
  }
  for (const char* owner : {"files", "said"}) {
    for (const char* query : {"&config=true", "&full=true", "&expand[]=config"}) {
      const Json list = json_of(hub.get("/api/models?author=" + text(owner) + query));
      REQUIRE(list.as_array().size() == std::size(cases));
      for (const Case& c : cases) {
        CAPTURE(text(owner) + query + c.name);
        const std::string id = text(owner) + "/" + c.name;
        const Json info = json_of(hub.get("/api/models/" + id));
        CHECK(field_of(info, "config") == c.config);
        const auto& rows = list.as_array();
        const auto row = std::ranges::find_if(
            rows, [&](const Json& entry) { return entry.find("id")->as_string() == id; });
        REQUIRE(row != rows.end());
        CHECK(field_of(*row, "config") == c.listed);
        if (text(query) != "&full=true") continue;
        const Json* custom = row->find_path({"transformersInfo", "custom_class"});
        CHECK((custom == nullptr ? "" : custom->as_string()) == c.task);
      }
    }
  }
}

TEST_CASE("web/repository_json: what a gated repository's files say is for who may have them") {
  tests::Guarded hub({.anonymous_read = true, .local = false});
  publish_gated(hub);
  const std::string stranger = hub.token("stranger"), friendly = hub.token("friend");
  const std::string fields =
      "expand=config&expand=transformersInfo&expand=mask_token&expand=gguf&expand=safetensors&"
      "expand=evalResults";
  for (const char* name : {"files", "said"}) {
    const std::string info = "/api/models/gated/" + text(name);
    const std::string list = "/api/models?author=gated&search=" + text(name);
    for (const std::string& target : {info + "?" + fields, list + "&" + fields}) {
      CAPTURE(target);
      for (const std::string& who : {std::string(), stranger}) {
        Json seen = json_of(hub.get_as(who, target));
        if (seen.is_array()) seen = Json(seen.as_array().at(0));
        CHECK(to_text(seen).find("secret") == std::string::npos);
        CHECK(names_of(seen) == "_id id modelId config transformersInfo safetensors gguf ");
        CHECK(field_of(seen, "config") ==
              R"({"architectures":["OwnForCausalLM"],"model_type":"own"})");
        CHECK(field_of(seen, "gguf") == R"({"total":34,"architecture":"llama"})");
        CHECK(field_of(seen, "safetensors") == R"({"parameters":{"BF16":12},"total":12})");
        CHECK(seen.find_path({"transformersInfo", "auto_model"}) != nullptr);
      }
      Json seen = json_of(hub.get_as(friendly, target));
      if (seen.is_array()) seen = Json(seen.as_array().at(0));
      for (const char* field :
           {"config", "transformersInfo", "mask_token", "gguf", "evalResults"}) {
        CAPTURE(text(field));
        CHECK(field_of(seen, field).find("secret") != std::string::npos);
      }
    }
    for (const std::string& target : {info, list + "&full=true"}) {
      CAPTURE(target);
      CHECK(body_of(hub.get_as(stranger, target)).find("secret") == std::string::npos);
      CHECK(body_of(hub.get_as(friendly, target)).find("secret") != std::string::npos);
    }
  }
}

}  // namespace holdfast::web
