#include "convert/general_metadata.h"

#include <doctest/doctest.h>

#include "convert/model_card.h"
#include "storage/base/error.h"
#include "tests/convert/tokenizer_files.h"
#include "tests/convert/tokenizer_reference.h"

namespace holdfast::convert {
namespace {

std::vector<std::string> lines(const std::map<std::string, std::string, std::less<>>& files,
                               const std::string& folder = "model", GeneralOptions options = {}) {
  const test::MemoryFiles model(files, folder);
  const Json config = files.contains("config.json")
                          ? parse_json(files.at("config.json"), "config.json")
                          : Json(Json::Object{});
  auto all = test::lines_of(general_metadata(model, config, {}, options));
  REQUIRE(all.front() == "general.type string model");
  all.erase(all.begin());
  return all;
}

std::string card(std::string_view yaml) { return "---\n" + std::string(yaml) + "\n---\n# Text\n"; }

TEST_CASE("convert/general_metadata: where each value comes from") {
  struct Case {
    std::string_view name;
    std::map<std::string, std::string, std::less<>> files;
    std::vector<std::string> expected;
  };

  const Case cases[] = {
      {"nothing but a folder", {}, {"general.name string Model"}},
      {"the card before the folder",
       {{"README.md", card("model_name: Its Name\nmodel_creator: Someone\nversion: 1.0")}},
       {"general.name string Its Name", "general.author string Someone",
        "general.version string 1.0"}},
      {"_name_or_path before the folder",
       {{"config.json", R"({"_name_or_path":"org/other-7B"})"}},
       {"general.name string Other 7B", "general.organization string Org",
        "general.basename string other", "general.size_label string 7B"}},
      {"a path on somebody's disk",
       {{"config.json", R"({"_name_or_path":"/home/x/y"})"}},
       {"general.name string Model"}},
      {"an empty _name_or_path leaves no name", {{"config.json", R"({"_name_or_path":""})"}}, {}},
      {"licences are joined",
       {{"README.md", card("license:\n- mit\n- apache-2.0")}},
       {"general.name string Model", "general.license string mit,apache-2.0"}},
      {"a base model by its page",
       {{"README.md", card("base_model: https://huggingface.co/org/base-v2")}},
       {"general.name string Model", "general.base_model.count u32 1",
        "general.base_model.0.name string Base v2", "general.base_model.0.version string v2",
        "general.base_model.0.organization string Org",
        "general.base_model.0.repo_url string https://huggingface.co/org/base-v2"}},
      {"a base model without a value",
       {{"README.md", card("base_model:")}},
       {"general.name string Model", "general.base_model.count u32 0"}},
      {"a data set described by hand",
       {{"README.md", card("datasets:\n- name: N\n  url: U\n- other")}},
       {"general.name string Model", "general.dataset.count u32 2",
        "general.dataset.0.name string N", "general.dataset.0.url string U",
        "general.dataset.1.name string Other"}},
      {"Norwegian is a language",
       {{"README.md", card("language:\n- no\n- en")}},
       {"general.name string Model", "general.languages array string 2", "    no", "    en"}},
      {"sampling, with both spellings of the penalty",
       {{"generation_config.json",
         R"({"repetition_penalty":1.5,"penalty_repeat":2,"top_k":50,"temperature":null})"}},
       {"general.sampling.top_k i32 50", "general.sampling.penalty_repeat f32 2",
        "general.name string Model"}},
      {"a generation config that is no JSON",
       {{"generation_config.json", "{"}},
       {"general.name string Model"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(lines(c.files) == c.expected);
  }
}

TEST_CASE("convert/general_metadata: overrides") {
  const Json overrides = parse_json(
      R"({"general.name":"N","general.license":"x","general.sampling.temp":0.5,
          "general.base_models":[{"name":"B","doi":"d"}],"general.tags":["t"]})",
      "metadata");
  const std::map<std::string, std::string, std::less<>> files = {
      {"README.md", card("license: mit\ntags: [a, b]\nbase_model: q/r")}};
  CHECK(lines(files, "model", {.metadata_override = overrides}) ==
        std::vector<std::string>{
            "general.sampling.temp f32 0.5", "general.name string N", "general.license string mit",
            "general.base_model.count u32 1", "general.base_model.0.name string B",
            "general.base_model.0.doi string d", "general.tags array string 1", "    t"});
  CHECK(lines({}, "model", {.model_name = "Given", .metadata_override = overrides})[1] ==
        "general.name string Given");
  CHECK_THROWS_WITH_AS(lines({{"generation_config.json", R"({"top_k":5000000000})"}}),
                       "general.sampling.top_k: expected 32 bits, found 5000000000", Error);
}

TEST_CASE("convert/model_card: front matter, or none") {
  struct Case {
    std::string_view name;
    std::string card;
    std::size_t members;
  };

  std::string laughs = "---\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) laughs += before + (k < 9 ? "," : "]\n");
  }
  const Case cases[] = {
      {"empty", "", 0},
      {"no front matter", "# Title\n---\na: b\n", 0},
      {"front matter", "---\na: b\nc: [d]\n---\n", 2},
      {"carriage returns", "---\r\na: b\r\n---\r\n", 1},
      {"no end", "---\na: b\n", 1},
      {"tabs", "---\na:\n\tb: c\n---\n", 1},
      {"a list", "---\n- a\n---\n", 0},
      {"no YAML", "---\na: [b\n---\n", 0},
      {"aliases that multiply", laughs + "---\n", 0},
      {"deep nesting", "---\na: " + std::string(5000, '[') + "\n---\n", 0},
      {"two megabytes", "---\na: " + std::string(2 << 20, 'x') + "\n---\n", 0},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(parse_front_matter(c.card).size() == c.members);
  }
}

TEST_CASE("convert/model_card: bytes that are no UTF-8 are replaced") {
  const Json::Object card = parse_front_matter("---\na: \"x\xFFy\"\n---\n");
  REQUIRE(card.find("a") != nullptr);
  CHECK(card.find("a")->as_string() == "x\xEF\xBF\xBDy");
}

}  // namespace
}  // namespace holdfast::convert
