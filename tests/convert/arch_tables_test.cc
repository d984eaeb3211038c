#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "convert/architecture.h"
#include "convert/plan_tensors.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

std::size_t holes(std::string_view pattern) {
  std::size_t count = 0;
  for (std::size_t at = pattern.find("{}"); at != pattern.npos; at = pattern.find("{}", at + 2)) {
    ++count;
  }
  return count;
}

void check_rules(std::span<const TensorRule> rules) {
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const TensorRule& rule = rules[i];
    CAPTURE(std::string(rule.from));
    CHECK((rule.op == TensorOp::Drop) == rule.to.empty());
    CHECK(holes(rule.to) <= holes(rule.from));
    if (rule.op == TensorOp::Stack) CHECK(holes(rule.from) == holes(rule.to) + 1);
    // Rules with the same source stand together, or the later one would never apply.
    const bool follows = i > 0 && rules[i - 1].from == rule.from;
    CHECK((follows || !seen.contains(rule.from)));
    seen.insert(rule.from);
  }
}

TEST_CASE("convert/architecture: tables are well formed") {
  CHECK(architectures().size() > 30);
  for (const Architecture* architecture : architectures()) {
    CAPTURE(std::string(architecture->name));
    CHECK(!architecture->hf_names.empty());
    CHECK(architecture->tensors.size() + architecture->shared_tensors.size() > 0);
    check_rules(architecture->tensors);
    check_rules(architecture->shared_tensors);
    for (const MetadataRule& rule : architecture->metadata) {
      CAPTURE(std::string(rule.key));
      const bool is_file_type = rule.key == "general.file_type";
      CHECK((!rule.config.empty() || rule.otherwise != nullptr || is_file_type));
    }
  }
}

TEST_CASE("convert/architecture: a class belongs to one table, or its tables ask the config") {
  std::vector<std::pair<std::string_view, const Architecture*>> owners;
  for (const Architecture* architecture : architectures()) {
    for (const std::string_view name : architecture->hf_names) {
      for (const auto& [other, owner] : owners) {
        // Only what stands first may be particular: what follows it takes the rest.
        const bool is_particular = owner->applies != nullptr;
        if (other == name) CHECK_MESSAGE(is_particular, std::string(name));
      }
      owners.emplace_back(name, architecture);
    }
  }
}

ModelConfig config_of(std::string_view text) {
  return ModelConfig(parse_json(text, "config.json"));
}

TEST_CASE("convert/architecture: the config decides between tables of one class") {
  struct Case {
    const char* config;
    const char* architecture;
  };

  constexpr Case kCases[] = {
      {R"({"architectures": ["XLMRobertaModel"]})", "bert"},
      {R"({"architectures": ["XLMRobertaModel"], "lora_adaptations": ["x"]})", "jina-bert-v3"},
      {R"({"architectures": ["MistralForCausalLM"]})", "llama"},
      {R"({"architectures": ["MiniCPMV"], "scale_emb": 12})", "minicpm"},
      {R"({"architectures": ["MiniCPMV"], "scale_emb": 12, "version": 2.0})", "minicpm"},
      {R"({"architectures": ["MiniCPMV"], "version": 2.5})", "llama"},
      {R"({"architectures": ["MiniCPMV"], "version": 2.6})", "qwen2"},
      {R"({"architectures": ["MiniCPMV"], "version": 4.5})", "qwen3"},
      {R"({"architectures": ["MiniCPMV"], "scale_emb": 12, "version": 4.0})", "llama"},
      {R"({"architectures": ["Gemma3ForConditionalGeneration"]})", "gemma3"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.config);
    CHECK(find_architecture(config_of(c.config)).name == c.architecture);
  }
}

TEST_CASE("convert/architecture: an unknown class is refused with the nearest known ones") {
  try {
    find_architecture(config_of(R"({"architectures": ["Qwen9ForCausalLM"]})"));
    FAIL_CHECK("was accepted");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::Unsupported);
    const std::string text = error.what();
    CHECK(text.find("\"Qwen9ForCausalLM\"") != text.npos);
    CHECK(text.find("Qwen3ForCausalLM") != text.npos);
  }
}

TEST_CASE("convert/architecture: a known class with a config that no table is for says so") {
  CHECK_THROWS_WITH_AS(
      find_architecture(config_of(R"({"architectures": ["MiniCPMV"], "version": 2.0})")),
      "config.json: architectures[0]: \"MiniCPMV\" is known, but not with such a config.json",
      Error);
}

Checkpoint checkpoint_of(std::initializer_list<const char*> names) {
  Checkpoint checkpoint{.files = {"model.safetensors"}};
  for (const char* name : names) {
    checkpoint.tensors.push_back({.name = name,
                                  .dtype = find_dtype("BF16"),
                                  .shape = {4, 4},
                                  .offset = checkpoint.tensors.size() * 32,
                                  .size_bytes = 32});
  }
  return checkpoint;
}

std::vector<std::string> output_names(const ModelConfig& config, const Checkpoint& checkpoint) {
  std::vector<std::string> names;
  for (const DraftTensor& draft : draft_tensors(find_architecture(config), config, checkpoint)) {
    names.push_back(draft.name);
  }
  return names;
}

TEST_CASE("convert/plan_tensors: unknown tensors are listed with the nearest architecture") {
  const ModelConfig config = config_of(
      R"({"architectures": ["Qwen2ForCausalLM"], "num_hidden_layers": 1, "num_attention_heads": 1,
          "hidden_size": 4})");
  const Checkpoint checkpoint =
      checkpoint_of({"transformer.wte.weight", "transformer.wpe.weight", "lm_head.weight"});
  try {
    output_names(config, checkpoint);
    FAIL_CHECK("was accepted");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::Unsupported);
    CHECK(std::string(error.what()) ==
          "2 of 3 tensors are unknown to architecture qwen2: transformer.wte.weight "
          "transformer.wpe.weight; nearest known: gpt2 (0 unknown)");
  }
}

TEST_CASE("convert/plan_tensors: an unknown class is compared by its tensors too") {
  const Checkpoint checkpoint = checkpoint_of(
      {"model.layers.0.self_attn.q_norm.weight", "model.layers.0.self_attn.oddity.weight"});
  const auto text = [&](const char* hf_name) {
    try {
      find_architecture(config_of(R"({"architectures": [")" + std::string(hf_name) + R"("]})"),
                        checkpoint);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::Unsupported);
      return std::string(error.what());
    }
    return std::string("was accepted");
  };
  CHECK(
      text("Qwen9ForCausalLM") ==
      "config.json: architectures[0]: unknown model class \"Qwen9ForCausalLM\"; nearest names: "
      "Qwen2ForCausalLM, Qwen3ForCausalLM, Qwen2MoeForCausalLM; nearest by its tensors: qwen2, to "
      "which 1 of 2 are unknown: model.layers.0.self_attn.oddity.weight");
  CHECK(text("Gemma9ForCausalLM").find("nearest by its tensors: gemma, ") != std::string::npos);
}

TEST_CASE("convert/plan_tensors: text models leave other modalities and their wrapper behind") {
  const ModelConfig config = config_of(
      R"({"architectures": ["Qwen2_5_VLForConditionalGeneration"], "num_hidden_layers": 1,
          "num_attention_heads": 1, "hidden_size": 4})");
  CHECK(output_names(config, checkpoint_of({"visual.blocks.0.attn.qkv.weight", "lm_head.weight",
                                            "model.embed_tokens.weight",
                                            "model.language_model.layers.0.mlp.up_proj.weight"})) ==
        std::vector<std::string>{"output.weight", "token_embd.weight", "blk.0.ffn_up.weight"});
  const ModelConfig minicpm =
      config_of(R"({"architectures": ["MiniCPMV"], "version": 2.6, "num_hidden_layers": 1})");
  CHECK(output_names(minicpm, checkpoint_of({"vpm.post_layernorm.weight", "resampler.query",
                                             "llm.model.layers.0.mlp.up_proj.weight",
                                             "llm.lm_head.weight"})) ==
        std::vector<std::string>{"blk.0.ffn_up.weight", "output.weight"});
}

TEST_CASE("convert/plan_tensors: a block beyond the model is refused unless it predicts further") {
  const char* const deepseek =
      R"({"architectures": ["DeepseekV3ForCausalLM"], "num_hidden_layers": 1})";
  const char* const qwen = R"({"architectures": ["Qwen2ForCausalLM"], "num_hidden_layers": 1})";
  const Checkpoint checkpoint = checkpoint_of({"model.layers.1.mlp.up_proj.weight"});
  CHECK(output_names(config_of(deepseek), checkpoint).empty());
  CHECK_THROWS_WITH_AS(output_names(config_of(qwen), checkpoint),
                       "model.safetensors: model.layers.1.mlp.up_proj.weight: block number outside "
                       "the 1 blocks of config.json: num_hidden_layers",
                       Error);
}

}  // namespace
}  // namespace holdfast::convert
