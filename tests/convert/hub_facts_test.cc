#include "convert/hub_facts.h"

#include <doctest/doctest.h>

#include "convert/model_facts.h"
#include "tests/convert/memory_files.h"

namespace holdfast::convert {
namespace {

using Files = std::map<std::string, std::string>;

std::string facts_of(const Files& files) { return to_text(hub_facts(test::MemoryFiles(files))); }

}  // namespace

TEST_CASE("convert/hub_facts: what the hub shows of a model's small files") {
  const std::string long_text(70'000, 'x');

  struct Case {
    const char* name;
    Files files;
    const char* facts;
  };

  const Case cases[] = {
      {"nothing", {{"README.md", "x"}}, "{}"},
      {"config",
       {{"config.json", R"({"hidden_size": 8, "model_type": "own", "architectures": ["OwnModel"],
          "auto_map": {"AutoConfig": "c.C"}})"}},
       R"({"config":{"architectures":["OwnModel"],"model_type":"own","auto_map":{"AutoConfig":"c.C"}}})"},
      {"quantization",
       {{"config.json", R"({"quantization_config": {"quant_method": "gptq", "bits": 4,
          "group_size": 128, "load_in_4bit": false, "load_in_8bit": true}})"}},
       R"({"config":{"quantization_config":{"quant_method":"gptq","bits":4,"load_in_4bit":false,"load_in_8bit":true}}})"},
      {"tokenizer",
       {{"tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": {"content": "</s>"},
          "unk_token": null, "chat_template": "{{m}}", "model_max_length": 9,
          "use_default_system_prompt": false})"}},
       R"({"config":{"tokenizer_config":{"bos_token":"<s>","eos_token":{"content":"</s>"},"chat_template":"{{m}}","use_default_system_prompt":false}}})"},
      {"adapter",
       {{"adapter_config.json",
         R"({"base_model_name_or_path": "org/base", "task_type": "CAUSAL_LM", "r": 8})"}},
       R"({"config":{"peft":{"base_model_name_or_path":"org/base","task_type":"CAUSAL_LM"}}})"},
      {"pipeline",
       {{"model_index.json", R"({"_class_name": "FluxPipeline", "vae": []})"}},
       R"({"config":{"diffusers":{"_class_name":"FluxPipeline"}}})"},
      {"mask token",
       {{"tokenizer_config.json", R"({"mask_token": "[MASK]"})"},
        {"special_tokens_map.json", R"({"mask_token": "other"})"}},
       R"({"config":{"tokenizer_config":{"mask_token":"[MASK]"}},"mask_token":"[MASK]"})"},
      {"mask token of its own kind",
       {{"special_tokens_map.json", R"({"mask_token": {"content": "<mask>", "lstrip": true}})"}},
       R"({"mask_token":"<mask>"})"},
      {"too long",
       {{"tokenizer_config.json",
         R"({"chat_template": ")" + long_text + R"(", "mask_token": ")" + long_text + R"("})"}},
       "{}"},
      {"broken",
       {{"config.json", "{"}, {"tokenizer_config.json", "[1]"}, {"model_index.json", "\xFF"}},
       "{}"},
      {"results",
       {{".eval_results/a.yaml",
         "- dataset: {id: cais/hle, task_id: default, revision: abc}\n"
         "  value: 20.90\n  date: '2026-01-02'\n"
         "  source: {url: https://example.org, name: Log}\n"
         "- dataset: {id: d/s, task_id: t}\n  value: 7\n"},
        {".eval_results/b.yaml",
         "- dataset: {id: d/s, task_id: u}\n  value: 12%\n"
         "- dataset: {id: d/s, task_id: v}\n  value: nan\n"
         "- dataset: {id: d/s, task_id: w}\n  value: 1e999\n"}},
       R"({"eval_results":[{"dataset":{"id":"cais/hle","task_id":"default","revision":"abc"},"value":20.9,"date":"2026-01-02","source":{"url":"https://example.org","name":"Log"}},{"dataset":{"id":"d/s","task_id":"t"},"value":7},{"dataset":{"id":"d/s","task_id":"u"},"value":"12%"},{"dataset":{"id":"d/s","task_id":"v"},"value":"nan"},{"dataset":{"id":"d/s","task_id":"w"},"value":"1e999"}]})"},
      // Clients would fail on these.
      {"no results",
       {{".eval_results/a.yaml",
         "- dataset: {id: d/s}\n  value: 1\n"
         "- dataset: {task_id: t}\n  value: 1\n"
         "- dataset: {id: d/s, task_id: t}\n  value: ~\n"
         "- dataset: {id: d/s, task_id: t}\n  value:\n"
         "- dataset: {id: d/s, task_id: t}\n  value: {a: 1}\n"
         "- dataset: {id: d/s, task_id: t}\n"
         "- dataset: d/s\n  value: 1\n"
         "- dataset: {id: d/s, task_id: t}\n  value: 1\n  source: {name: x}\n"
         "- text\n"},
        {".eval_results/b.yaml", "dataset: {id: d/s, task_id: t}\nvalue: 1\n"},
        {".eval_results/c.yaml", "{"},
        {".eval_results/d.txt", "- dataset: {id: d/s, task_id: t}\n  value: 1\n"},
        {"results.yaml", "- dataset: {id: d/s, task_id: t}\n  value: 1\n"}},
       "{}"},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    CHECK(facts_of(c.files) == c.facts);
  }
}

TEST_CASE("convert/model_facts: what the hub shows is a row where there is any") {
  const auto row_of = [](const Files& files) -> std::string {
    for (const auto& [key, value] : model_facts(test::MemoryFiles(files))) {
      if (key == "hub") return to_text(value);
    }
    return "none";
  };
  CHECK(row_of({{"config.json", R"({"model_type": "own"})"}}) ==
        R"({"config":{"model_type":"own"}})");
  CHECK(row_of({{"README.md", "x"}}) == "none");
}

}  // namespace holdfast::convert
