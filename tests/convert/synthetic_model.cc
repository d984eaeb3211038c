#include "tests/convert/synthetic_model.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "convert/sample_tokenizer.h"
#include "storage/base/digest.h"
#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/json.h"
#include "tests/convert/fixtures.h"

namespace holdfast::convert::test {
namespace {

using Shape = std::vector<std::uint64_t>;

std::map<std::string, Shape> tensors(const SyntheticShape& shape, std::uint64_t vocabulary) {
  const std::uint64_t head = shape.hidden / shape.heads;
  std::map<std::string, Shape> all{{"model.embed_tokens.weight", {vocabulary, shape.hidden}},
                                   {"lm_head.weight", {vocabulary, shape.hidden}},
                                   {"model.norm.weight", {shape.hidden}}};
  const Shape up{shape.feed_forward, shape.hidden}, down{shape.hidden, shape.feed_forward};
  for (std::uint64_t layer = 0; layer < shape.layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    all[prefix + "input_layernorm.weight"] = {shape.hidden};
    all[prefix + "post_attention_layernorm.weight"] = {shape.hidden};
    all[prefix + "self_attn.q_proj.weight"] = {shape.hidden, shape.hidden};
    all[prefix + "self_attn.k_proj.weight"] = {shape.key_heads * head, shape.hidden};
    all[prefix + "self_attn.v_proj.weight"] = {shape.key_heads * head, shape.hidden};
    all[prefix + "self_attn.o_proj.weight"] = {shape.hidden, shape.hidden};
    if (shape.experts == 0) {
      all[prefix + "mlp.gate_proj.weight"] = up;
      all[prefix + "mlp.up_proj.weight"] = up;
      all[prefix + "mlp.down_proj.weight"] = down;
      continue;
    }
    all[prefix + "block_sparse_moe.gate.weight"] = {shape.experts, shape.hidden};
    for (std::uint64_t expert = 0; expert < shape.experts; ++expert) {
      const std::string name = prefix + "block_sparse_moe.experts." + std::to_string(expert);
      all[name + ".w1.weight"] = up;
      all[name + ".w2.weight"] = down;
      all[name + ".w3.weight"] = up;
    }
  }
  return all;
}

std::string config_text(const SyntheticShape& shape, const SampleTokenizer& tokenizer,
                        std::uint64_t vocabulary) {
  Json::Object config{{"architectures", Json::Array{Json(shape.experts > 0 ? "MixtralForCausalLM"
                                                                           : "LlamaForCausalLM")}},
                      {"bos_token_id", tokenizer.bos},
                      {"eos_token_id", tokenizer.eos},
                      {"hidden_size", shape.hidden},
                      {"intermediate_size", shape.feed_forward},
                      {"max_position_embeddings", 4096},
                      {"num_attention_heads", shape.heads},
                      {"num_hidden_layers", shape.layers},
                      {"num_key_value_heads", shape.key_heads},
                      {"rms_norm_eps", 1e-5},
                      {"rope_theta", 10000.0},
                      {"vocab_size", vocabulary}};
  if (shape.experts > 0) {
    config.set("num_local_experts", shape.experts);
    config.set("num_experts_per_tok", 2);
  }
  return to_pretty_text(Json(std::move(config)));
}

// Values of many magnitudes, so that every path of the searches is taken: a bell-like sum of
// uniform numbers, now and then an outlier, as bfloat16.
void fill(std::span<std::uint16_t> values, std::uint64_t& state) {
  for (std::uint16_t& value : values) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    const auto part = [&](int shift) {
      return static_cast<float>((state >> shift) & 0xFFFF) / 65536.0F - 0.5F;
    };
    float sum = (part(0) + part(16) + part(32) + part(48)) * 0.05F;
    if ((state & 0x3FF) == 0) sum *= 20.0F;
    std::uint32_t bits = 0;
    std::memcpy(&bits, &sum, sizeof(bits));
    value = static_cast<std::uint16_t>(bits >> 16);
  }
}

std::string header_of(const std::map<std::string, Shape>& all, std::uint64_t& data_bytes) {
  Json::Object header;
  data_bytes = 0;
  for (const auto& [name, shape] : all) {
    std::uint64_t bytes = 2;
    for (const std::uint64_t dimension : shape) bytes *= dimension;
    header.set(name, Json::Object{{"dtype", "BF16"},
                                  {"shape", Json::Array(shape.begin(), shape.end())},
                                  {"data_offsets",
                                   Json::Array{Json(data_bytes), Json(data_bytes + bytes)}}});
    data_bytes += bytes;
  }
  const std::string text = to_text(Json(std::move(header)));
  const std::uint64_t length = text.size();
  std::string prefix(sizeof(length), '\0');
  std::memcpy(prefix.data(), &length, sizeof(length));
  return prefix + text;
}

}  // namespace

std::uint64_t write_synthetic(const std::filesystem::path& folder, const SyntheticShape& shape) {
  const SampleTokenizer tokenizer = sample_tokenizer();
  const std::uint64_t vocabulary = std::max(shape.vocabulary, tokenizer.tokens);
  write_text(folder / "config.json", config_text(shape, tokenizer, vocabulary));
  write_text(folder / "tokenizer.json", to_text(tokenizer.tokenizer));
  write_text(folder / "tokenizer_config.json", to_text(tokenizer.tokenizer_config));

  std::uint64_t data_bytes = 0;
  const std::string header = header_of(tensors(shape, vocabulary), data_bytes);
  const std::filesystem::path path = folder / "model.safetensors";
  const UniqueFd fd = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
  write_at(fd.get(), 0, as_bytes(header), path);
  if (::ftruncate(fd.get(), static_cast<off_t>(header.size() + data_bytes)) != 0) {
    fail_errno("ftruncate", path.string(), errno);
  }
  std::uint64_t state = 88172645463325252ULL;
  std::vector<std::uint16_t> block(1 << 19);
  for (std::uint64_t at = 0; !shape.sparse && at < data_bytes; at += block.size() * 2) {
    block.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), (data_bytes - at) / 2)));
    fill(block, state);
    write_at(fd.get(), header.size() + at, std::as_bytes(std::span(block)), path);
  }
  return data_bytes;
}

}  // namespace holdfast::convert::test
