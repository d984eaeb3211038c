#include <doctest/doctest.h>

#include "convert/tokenizers/special_tokens.h"
#include "storage/base/error.h"
#include "tests/convert/tokenizer_files.h"
#include "tests/convert/tokenizer_reference.h"

namespace holdfast::convert {
namespace {

std::vector<std::string> written(const std::map<std::string, std::string, std::less<>>& files,
                                 Merges merges = Merges::Ignored) {
  const test::MemoryFiles model(files);
  const Json config = files.contains("config.json")
                          ? parse_json(files.at("config.json"), "config.json")
                          : Json(Json::Object{});
  Metadata metadata;
  read_special_tokens(read_tokenizer_source(model, config), merges, 100).write(metadata);
  return test::lines_of(metadata);
}

// "bos A", "A eos" and so on, as a TemplateProcessing; pair is A B with `middle` between.
std::string template_of(const std::string& before, const std::string& after,
                        const std::string& middle) {
  const auto special = [](const std::string& text) {
    return text.empty() ? std::string() : R"({"SpecialToken":{"id":")" + text + R"("}},)";
  };
  const std::string a = R"({"Sequence":{"id":"A"}},)";
  const std::string b = R"({"Sequence":{"id":"B"}},)";
  const auto list = [](std::string items) {
    items.pop_back();
    return "[" + items + "]";
  };
  return R"({"type":"TemplateProcessing","single":)" + list(special(before) + a + special(after)) +
         R"(,"pair":)" + list(special(before) + a + special(middle) + b + special(after)) + "}";
}

std::string json_with(const std::string& post_processor) {
  return R"({"added_tokens":[{"id":1,"content":"<s>"},{"id":2,"content":"</s>"},{"id":3,"content":"<end>"}],)"
         R"("post_processor":)" +
         post_processor + "}";
}

TEST_CASE("convert/tokenizers/special_tokens: templates decide what is added") {
  struct Case {
    std::string_view name;
    std::string post_processor;
    std::string settings;
    std::vector<std::string> expected;
  };

  const std::string both = R"({"bos_token":"<s>","eos_token":"</s>"})";
  const Case cases[] = {
      {"no template",
       "null",
       both,
       {"tokenizer.ggml.bos_token_id u32 1", "tokenizer.ggml.eos_token_id u32 2"}},
      {"bos in front",
       template_of("<s>", "", "<s>"),
       both,
       {"tokenizer.ggml.bos_token_id u32 1", "tokenizer.ggml.eos_token_id u32 2",
        "tokenizer.ggml.add_bos_token bool true", "tokenizer.ggml.add_sep_token bool false"}},
      {"bos and eos",
       template_of("<s>", "</s>", ""),
       both,
       {"tokenizer.ggml.bos_token_id u32 1", "tokenizer.ggml.eos_token_id u32 2",
        "tokenizer.ggml.add_bos_token bool true", "tokenizer.ggml.add_eos_token bool true"}},
      {"another end than configured: the configured one ends a turn",
       template_of("<s>", "<end>", ""),
       both,
       {"tokenizer.ggml.bos_token_id u32 1", "tokenizer.ggml.eos_token_id u32 3",
        "tokenizer.ggml.eot_token_id u32 2", "tokenizer.ggml.add_bos_token bool true",
        "tokenizer.ggml.add_eos_token bool true"}},
      {"the settings have the last word",
       template_of("<s>", "", "<s>"),
       R"({"bos_token":"<s>","add_bos_token":false})",
       {"tokenizer.ggml.bos_token_id u32 1", "tokenizer.ggml.add_bos_token bool false",
        "tokenizer.ggml.add_sep_token bool false"}},
      {"cls and sep stand in for bos and eos",
       "null",
       R"({"cls_token":"<s>","sep_token":"</s>"})",
       {"tokenizer.ggml.bos_token_id u32 1", "tokenizer.ggml.eos_token_id u32 2",
        "tokenizer.ggml.seperator_token_id u32 2"}},
      {"RoBERTa",
       R"({"type":"RobertaProcessing","cls":["<s>",1],"sep":["</s>",2]})",
       both,
       {"tokenizer.ggml.bos_token_id u32 1", "tokenizer.ggml.eos_token_id u32 2",
        "tokenizer.ggml.seperator_token_id u32 2", "tokenizer.ggml.add_bos_token bool true",
        "tokenizer.ggml.add_eos_token bool true", "tokenizer.ggml.add_sep_token bool true"}},
      {"a template with nothing in it",
       R"({"type":"TemplateProcessing","single":[],"pair":[]})",
       both,
       {"tokenizer.ggml.bos_token_id u32 1", "tokenizer.ggml.eos_token_id u32 2"}},
      {"a separator between the two",
       template_of("", "", "</s>"),
       both,
       {"tokenizer.ggml.bos_token_id u32 1", "tokenizer.ggml.eos_token_id u32 2",
        "tokenizer.ggml.seperator_token_id u32 2", "tokenizer.ggml.add_sep_token bool true"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(written({{"tokenizer.json", json_with(c.post_processor)},
                   {"tokenizer_config.json", c.settings}}) == c.expected);
  }
}

TEST_CASE("convert/tokenizers/special_tokens: ids of config.json fill what the settings leave") {
  CHECK(
      written(
          {{"config.json",
            R"({"bos_token_id":1,"eos_token_id":[2,3],"pad_token_id":-1,"unk_token_id":100})"}}) ==
      std::vector<std::string>{"tokenizer.ggml.bos_token_id u32 1"});
  CHECK(written({{"config.json", R"({"text_config":{"eos_token_id":5}})"}}) ==
        std::vector<std::string>{"tokenizer.ggml.eos_token_id u32 5"});
}

TEST_CASE("convert/tokenizers/special_tokens: both forms of merges become one") {
  const std::vector<std::string> expected = {"tokenizer.ggml.merges array string 2", "    a b",
                                             "    \xC4\xA0 c"};
  CHECK(written({{"tokenizer.json", R"({"model":{"merges":[["a","b"],[" ","c"]]}})"}},
                Merges::Loaded) == expected);
  CHECK(written({{"tokenizer.json", "{\"model\":{\"merges\":[\"a b\",\"\xC4\xA0 c\"]}}"}},
                Merges::Loaded) == expected);
  CHECK(written({{"merges.txt", "#version: 0.2\na b\n\n\xC4\xA0 c\r\nnot a merge\n"}},
                Merges::Loaded) == expected);
  CHECK_THROWS_WITH_AS(
      written({{"tokenizer.json", R"({"model":{"merges":[["a"]]}})"}}, Merges::Loaded),
      "tokenizer.json: model.merges[0]: expected 2 halves, found 1", Error);
}

TEST_CASE("convert/tokenizers/special_tokens: chat templates by name and by file") {
  struct Case {
    std::string_view name;
    std::map<std::string, std::string, std::less<>> files;
    std::vector<std::string> expected;
  };

  const Case cases[] = {
      {"in the settings",
       {{"tokenizer_config.json", R"({"chat_template":"T"})"}},
       {"tokenizer.chat_template string T"}},
      {"a list",
       {{"tokenizer_config.json",
         R"({"chat_template":[{"name":"rag 1","template":"R"},{"name":"default","template":"D"}]})"}},
       {"tokenizer.chat_template.rag_1 string R", "tokenizer.chat_templates array string 1",
        "    rag_1", "tokenizer.chat_template string D"}},
      {"a file",
       {{"tokenizer_config.json", R"({"x":1})"}, {"chat_template.jinja", "J"}},
       {"tokenizer.chat_template string J"}},
      {"more files",
       {{"tokenizer_config.json", R"({"x":1})"},
        {"chat_template.jinja", "J"},
        {"additional_chat_templates/tool.jinja", "X"}},
       {"tokenizer.chat_template.tool string X", "tokenizer.chat_templates array string 1",
        "    tool", "tokenizer.chat_template string J"}},
      {"a JSON file",
       {{"tokenizer_config.json", R"({"x":1})"},
        {"chat_template.json", R"({"chat_template":"K"})"}},
       {"tokenizer.chat_template string K"}},
      {"null in the settings hides the file",
       {{"tokenizer_config.json", R"({"chat_template":null})"}, {"chat_template.jinja", "J"}},
       {}},
      {"no settings, no template", {{"chat_template.jinja", "J"}}, {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(written(c.files) == c.expected);
  }
}

TEST_CASE("convert/tokenizers/special_tokens: normalizer flags are found at any depth") {
  CHECK(written({{"tokenizer.json",
                  R"({"normalizer":{"type":"Sequence","normalizers":[{"type":"Lowercase"},)"
                  R"({"type":"BertNormalizer","lowercase":null,"strip_accents":false}]}})"}}) ==
        std::vector<std::string>{"tokenizer.ggml.normalizer.lowercase bool true",
                                 "tokenizer.ggml.normalizer.strip_accents bool false"});
}

}  // namespace
}  // namespace holdfast::convert
