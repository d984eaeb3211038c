#include "convert/agreement.h"

#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "storage/base/error.h"
#include "tests/convert/fixtures.h"
#include "tests/convert/memory_files.h"

namespace holdfast::convert {
namespace {

// What a config with this rotary part is told; "" when it is accepted.
std::string rope_error(const char* architecture, const std::string& rope) {
  const ModelConfig config(parse_json(
      R"({"architectures": [")" + std::string(architecture) + "\"], " + rope + "}", "config.json"));
  try {
    check_rope_scaling(find_architecture(config), config);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("convert/agreement: rotary scaling that the file can say is accepted") {
  struct Row {
    const char *architecture, *rope;
  };

  constexpr Row kRows[] = {
      {"LlamaForCausalLM", R"("rope_scaling": null)"},
      {"LlamaForCausalLM", R"("rope_scaling": {"type": "linear", "factor": 4.0})"},
      {"LlamaForCausalLM", R"("rope_scaling": {"type": "dynamic", "factor": 4.0})"},
      {"LlamaForCausalLM", R"("rope_scaling": {"rope_type": "llama3", "factor": 8.0})"},
      {"LlamaForCausalLM", R"("rope_parameters": {"rope_type": "default", "rope_theta": 1e4})"},
      {"Qwen2ForCausalLM", R"("rope_scaling": {"type": "yarn", "factor": 4.0})"},
      {"Qwen2VLForConditionalGeneration",
       R"("rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]})"},
      {"DeepseekV2ForCausalLM", R"("rope_scaling": {"type": "yarn", "factor": 40})"},
      {"Phi3ForCausalLM", R"("rope_scaling": {"type": "su", "long_factor": [1]})"},
      {"Phi3ForCausalLM", R"("rope_scaling": {"type": "longrope", "long_factor": [1]})"},
      {"Gemma3ForCausalLM", R"("rope_parameters": {"full_attention": {"rope_type": "linear",
        "factor": 8}, "sliding_attention": {"rope_type": "default"}})"},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.architecture);
    CAPTURE(row.rope);
    CHECK(rope_error(row.architecture, row.rope) == "");
  }
}

TEST_CASE(
    "convert/agreement: other rotary scaling is refused with field, value and what is known") {
  struct Row {
    const char *architecture, *rope, *error;
  };

  constexpr Row kRows[] = {
      {"LlamaForCausalLM", R"("rope_scaling": {"type": "ntk", "factor": 4.0})",
       "config.json: rope_scaling.type: expected one of default, dynamic, linear, llama3, mrope, "
       "yarn for architecture llama, found \"ntk\""},
      {"LlamaForCausalLM", R"("rope_scaling": {"rope_type": "Yarn", "factor": 4.0})",
       "config.json: rope_scaling.rope_type: expected one of default, dynamic, linear, llama3, "
       "mrope, yarn for architecture llama, found \"Yarn\""},
      // Known, but the family's files have no place for its factors.
      {"Qwen2ForCausalLM", R"("rope_parameters": {"rope_type": "llama3", "factor": 8.0})",
       "config.json: rope_parameters.rope_type: expected one of default, dynamic, linear, mrope, "
       "yarn for architecture qwen2, found \"llama3\""},
      {"LlamaForCausalLM", R"("rope_scaling": {"type": "longrope", "long_factor": [1]})",
       "config.json: rope_scaling.type: expected one of default, dynamic, linear, llama3, mrope, "
       "yarn for architecture llama, found \"longrope\""},
      {"GPTNeoXForCausalLM", R"("rope_scaling": {"type": "linear", "factor": 2.0})",
       "config.json: rope_scaling.type: expected one of default, dynamic, mrope for architecture "
       "gptneox, found \"linear\""},
      {"LlamaForCausalLM", R"("rope_scaling": {"type": "linear"})",
       "config.json: rope_scaling.type: \"linear\" needs a factor beside it, found none"},
      {"LlamaForCausalLM", R"("rope_scaling": {"type": 4})",
       "config.json: rope_scaling.type: expected a string, found an integer (4)"},
      {"Gemma3ForCausalLM", R"("rope_parameters": {"full_attention": {"rope_type": "default"},
        "sliding_attention": {"rope_type": "swirl"}})",
       "config.json: rope_parameters.sliding_attention.rope_type: expected one of default, "
       "dynamic, linear, mrope, yarn for architecture gemma3, found \"swirl\""},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.rope);
    CHECK(rope_error(row.architecture, row.rope) == row.error);
  }
}

// A Mixtral of one block: four heads of four, two of them with keys, two experts.
const char* const kConfig = R"({"architectures": ["MixtralForCausalLM"], "hidden_size": 16,
  "intermediate_size": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 6,
  "num_hidden_layers": 1, "num_local_experts": 2})";

std::string weights() {
  struct Tensor {
    const char *name, *shape;
    std::size_t bytes;
  };

  constexpr Tensor kTensors[] = {
      {"model.embed_tokens.weight", "[6, 16]", 384},
      {"model.layers.0.self_attn.q_proj.weight", "[16, 16]", 1024},
      {"model.layers.0.self_attn.k_proj.weight", "[8, 16]", 512},
      {"model.layers.0.self_attn.o_proj.weight", "[16, 16]", 1024},
      {"model.layers.0.block_sparse_moe.experts.0.w2.weight", "[16, 8]", 512},
      {"model.layers.0.block_sparse_moe.experts.1.w2.weight", "[16, 8]", 512},
  };
  std::string json = "{";
  std::size_t end = 0;
  for (const Tensor& tensor : kTensors) {
    json += (end == 0 ? "\"" : ",\"") + std::string(tensor.name) +
            R"(": {"dtype": "F32", "shape": )" + tensor.shape + ", \"data_offsets\": [" +
            std::to_string(end) + ", " + std::to_string(end + tensor.bytes) + "]}";
    end += tensor.bytes;
  }
  return test::safetensors_bytes(json + "}", end);
}

std::string agreement_error(const std::string& from, const std::string& to) {
  std::string text = kConfig;
  if (!from.empty()) {
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
  }
  const test::MemoryFiles files({{"config.json", text}, {"model.safetensors", weights()}});
  const ModelConfig config = read_config(files);
  const Architecture& architecture = find_architecture(config);
  const Checkpoint checkpoint = read_checkpoint(files);
  try {
    check_agreement(architecture, config, checkpoint,
                    draft_tensors(architecture, config, checkpoint));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("convert/agreement: a config that fits its tensors is accepted") {
  CHECK(agreement_error("", "") == "");
  // What the config does not say is not checked.
  CHECK(agreement_error(R"("intermediate_size": 8,)", "") == "");
}

TEST_CASE("convert/agreement: a config that contradicts a tensor is refused with both numbers") {
  struct Row {
    const char *from, *to, *error;
  };

  constexpr Row kRows[] = {
      {R"("vocab_size": 6)", R"("vocab_size": 7)",
       "config.json: vocab_size: expected 6, as in model.safetensors: model.embed_tokens.weight "
       "[6, 16], found 7"},
      {R"("hidden_size": 16)", R"("hidden_size": 32)",
       "config.json: hidden_size: expected 16, as in model.safetensors: "
       "model.embed_tokens.weight [6, 16], found 32"},
      {R"("num_key_value_heads": 2)", R"("num_key_value_heads": 4)",
       "config.json: num_key_value_heads: expected what makes 8, as in model.safetensors: "
       "model.layers.0.self_attn.k_proj.weight [8, 16], found 4, which makes 16"},
      {R"("num_attention_heads": 4)", R"("head_dim": 8, "num_attention_heads": 4)",
       "config.json: num_key_value_heads: expected what makes 8, as in model.safetensors: "
       "model.layers.0.self_attn.k_proj.weight [8, 16], found 2, which makes 16"},
      {R"("intermediate_size": 8)", R"("intermediate_size": 12)",
       "config.json: intermediate_size: expected 8, as in model.safetensors: "
       "model.layers.0.block_sparse_moe.experts.0.w2.weight [16, 8], found 12"},
      {R"("num_hidden_layers": 1)", R"("num_hidden_layers": 2)",
       "config.json: num_hidden_layers: expected tensors of 2 blocks, found none of block 1"},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.to);
    CHECK(agreement_error(row.from, row.to) == row.error);
  }
}

}  // namespace
}  // namespace holdfast::convert
