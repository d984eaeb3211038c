#include "convert/sample.h"

#include <bit>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "convert/sample_tokenizer.h"
#include "storage/base/digest.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/json.h"

namespace holdfast::convert {
namespace {

constexpr std::uint64_t kHidden = 64, kFeedForward = 192, kLayers = 2, kHeads = 4, kKeyHeads = 2;
constexpr std::uint64_t kHeadSize = kHidden / kHeads;

constexpr std::string_view kCard = R"(---
license: apache-2.0
language:
- en
pipeline_tag: text-generation
library_name: transformers
tags:
- llama
- sample
---

# A tiny model

Two layers of fixed pseudo-random weights in the shape of a Llama, with a small byte-level BPE
tokenizer. It says nothing sensible; it is there to be mirrored, converted and served.
)";

// SplitMix64 (Steele, Lea and Flood, 2014): a few integer operations, so the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

// The upper half of a float32, which is a bfloat16. Exact for the few bits that the weights use.
std::uint16_t bfloat16(float value) {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
}

struct Tensor {
  std::vector<std::uint64_t> shape;
  bool norm = false;
};

// By name, which is the order in the file.
std::map<std::string, Tensor> tensors(std::uint64_t vocabulary) {
  std::map<std::string, Tensor> all;
  all["model.embed_tokens.weight"] = {{vocabulary, kHidden}};
  all["lm_head.weight"] = {{vocabulary, kHidden}};
  all["model.norm.weight"] = {{kHidden}, true};
  for (std::uint64_t layer = 0; layer < kLayers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    all[prefix + "input_layernorm.weight"] = {{kHidden}, true};
    all[prefix + "post_attention_layernorm.weight"] = {{kHidden}, true};
    all[prefix + "self_attn.q_proj.weight"] = {{kHeads * kHeadSize, kHidden}};
    all[prefix + "self_attn.k_proj.weight"] = {{kKeyHeads * kHeadSize, kHidden}};
    all[prefix + "self_attn.v_proj.weight"] = {{kKeyHeads * kHeadSize, kHidden}};
    all[prefix + "self_attn.o_proj.weight"] = {{kHidden, kHeads * kHeadSize}};
    all[prefix + "mlp.gate_proj.weight"] = {{kFeedForward, kHidden}};
    all[prefix + "mlp.up_proj.weight"] = {{kFeedForward, kHidden}};
    all[prefix + "mlp.down_proj.weight"] = {{kHidden, kFeedForward}};
  }
  return all;
}

void append_values(std::string& data, const Tensor& tensor, std::uint64_t count, Random& random) {
  for (std::uint64_t i = 0; i < count; ++i) {
    // Seven random bits around zero: what a bfloat16's significand holds.
    const auto centred = static_cast<int>(random.next() >> 57) - 64;
    const float value = tensor.norm ? 1.0F : static_cast<float>(centred) / 512.0F;
    const std::uint16_t bits = bfloat16(value);
    data.push_back(static_cast<char>(bits & 0xFF));
    data.push_back(static_cast<char>(bits >> 8));
  }
}

std::string safetensors(std::uint64_t vocabulary) {
  Json::Object header{{"__metadata__", Json::Object{{"format", "pt"}}}};
  std::string data;
  Random random(20260101);
  for (const auto& [name, tensor] : tensors(vocabulary)) {
    std::uint64_t count = 1;
    Json::Array shape;
    for (const std::uint64_t dimension : tensor.shape) {
      count *= dimension;
      shape.emplace_back(dimension);
    }
    const std::uint64_t begin = data.size();
    append_values(data, tensor, count, random);
    header.set(name, Json::Object{{"dtype", "BF16"},
                                  {"shape", std::move(shape)},
                                  {"data_offsets", Json::Array{Json(begin), Json(data.size())}}});
  }
  std::string text = to_text(Json(std::move(header)));
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  return file + text + data;
}

Json config(const SampleTokenizer& tokenizer) {
  return Json::Object{{"architectures", Json::Array{Json("LlamaForCausalLM")}},
                      {"attention_bias", false},
                      {"bos_token_id", tokenizer.bos},
                      {"eos_token_id", tokenizer.eos},
                      {"head_dim", kHeadSize},
                      {"hidden_act", "silu"},
                      {"hidden_size", kHidden},
                      {"intermediate_size", kFeedForward},
                      {"max_position_embeddings", 512},
                      {"mlp_bias", false},
                      {"model_type", "llama"},
                      {"num_attention_heads", kHeads},
                      {"num_hidden_layers", kLayers},
                      {"num_key_value_heads", kKeyHeads},
                      {"rms_norm_eps", 1e-5},
                      {"rope_scaling", nullptr},
                      {"rope_theta", 10000.0},
                      {"tie_word_embeddings", false},
                      {"torch_dtype", "bfloat16"},
                      {"vocab_size", tokenizer.tokens}};
}

void write(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, as_bytes(text));
}

}  // namespace

void write_sample(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) fail_errno("create", directory.string(), error.value());
  const SampleTokenizer tokenizer = sample_tokenizer();
  write(directory / "config.json", to_pretty_text(config(tokenizer)));
  write(directory / "generation_config.json",
        to_pretty_text(Json::Object{{"bos_token_id", tokenizer.bos},
                                    {"eos_token_id", tokenizer.eos},
                                    {"do_sample", true},
                                    {"temperature", 0.7}}));
  write(directory / "tokenizer.json", to_pretty_text(tokenizer.tokenizer));
  write(directory / "tokenizer_config.json", to_pretty_text(tokenizer.tokenizer_config));
  write(directory / "model.safetensors", safetensors(tokenizer.tokens));
  write(directory / "README.md", kCard);
}

}  // namespace holdfast::convert
