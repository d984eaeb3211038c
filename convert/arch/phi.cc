// Phi-2, and Phi-3 to Phi-4, whose fused projections stay fused.
#include <algorithm>
#include <cmath>

#include "convert/arch/usual.h"
#include "convert/architecture.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;

constexpr std::string_view kPhi2Names[] = {"PhiForCausalLM"};
constexpr std::string_view kPhi3Names[] = {"Phi3ForCausalLM", "Phi4ForCausalLMV"};

constexpr TensorRule kPhi2Tensors[] = {
    {"final_layernorm.{}", "output_norm.{}"},
    {"layers.{}.self_attn.dense.{}", "blk.{}.attn_output.{}"},
    {"layers.{}.mlp.fc1.{}", "blk.{}.ffn_up.{}"},
    {"layers.{}.mlp.fc2.{}", "blk.{}.ffn_down.{}"},
};

constexpr TensorRule kPhi3Tensors[] = {
    {"layers.{}.self_attn.qkv_proj.weight", "blk.{}.attn_qkv.weight"},
    {"layers.{}.mlp.gate_up_proj.weight", "blk.{}.ffn_up.weight"},
};

std::optional<MetadataValue> four_times_hidden(const ModelConfig& config) {
  return to_u32(4 * config.uint("hidden_size|n_embd"), "hidden_size");
}

std::optional<MetadataValue> rotary_size(const ModelConfig& config) {
  return partial_rotary_size(config, 1.0);
}

constexpr MetadataRule kPhi2Metadata[] = {
    {"n_positions|max_position_embeddings", "context_length"},
    {"hidden_size|n_embd", "embedding_length"},
    {"", "feed_forward_length", kU32, kOptional, four_times_hidden},
    {"num_hidden_layers|n_layer", "block_count"},
    {"num_attention_heads|n_head", "attention.head_count"},
    {"num_attention_heads|n_head", "attention.head_count_kv"},
    {"layer_norm_epsilon|layer_norm_eps", "attention.layer_norm_epsilon", kF32},
    {"", "rope.dimension_count", kU32, kOptional, rotary_size},
    {"", "general.file_type"},
    {"", "tokenizer.ggml.add_bos_token", ValueType::Bool, kOptional, not_causal},
};

double rope_number(const ModelConfig& config, std::string_view name) {
  const Json* value = config.rope().find(name);
  const std::string where = "config.json: rope_scaling." + std::string(name);
  if (value == nullptr || value->is_null()) fail(ErrorKind::Corrupt, where + ": missing");
  return value->as_double(where);
}

std::optional<MetadataValue> original_context(const ModelConfig& config) {
  const double context = rope_number(config, "original_max_position_embeddings");
  return to_u32(static_cast<std::uint64_t>(std::max(context, 0.0)),
                "original_max_position_embeddings");
}

std::optional<MetadataValue> rope_base(const ModelConfig& config) {
  return static_cast<float>(rope_number(config, "rope_theta"));
}

// Zero tells Phi-4 from the others.
std::optional<MetadataValue> sliding_window(const ModelConfig& config) {
  return to_u32(config.uint_or("sliding_window", 0), "sliding_window");
}

// By how much attention is scaled beyond the original context; only where factors are given.
std::optional<MetadataValue> attention_factor(const ModelConfig& config) {
  const Json* factors = config.rope().find("long_factor");
  if (factors == nullptr || factors->is_null()) return std::nullopt;
  const double original = rope_number(config, "original_max_position_embeddings");
  const double scale = config.number("n_positions|max_position_embeddings") / original;
  const Json* given = config.rope().find("rope_type");
  const std::string type = given == nullptr ? "" : given->as_string("config.json: rope_type");
  if (type == "su" || type == "longrope") {
    return static_cast<float>(scale > 1 ? std::sqrt(1 + std::log(scale) / std::log(original)) : 1);
  }
  if (type == "yarn") return static_cast<float>(scale > 1 ? 0.1 * std::log(scale) + 1 : 1);
  fail(ErrorKind::Unsupported,
       "config.json: rope_scaling.type: expected longrope, su or yarn, found \"" + type + "\"");
}

constexpr MetadataRule kPhi3Early[] = {
    {"", "rope.scaling.attn_factor", kF32, kOptional, attention_factor},
};

constexpr MetadataRule kPhi3Metadata[] = {
    {"n_positions|max_position_embeddings", "context_length"},
    {"", "rope.scaling.original_context_length", kU32, kOptional, original_context},
    {"hidden_size|n_embd", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"num_hidden_layers|n_layer", "block_count"},
    {"num_attention_heads|n_head", "attention.head_count"},
    {"num_key_value_heads|n_head_kv", "attention.head_count_kv"},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", kF32},
    {"", "rope.dimension_count", kU32, kOptional, rotary_size},
    {"", "rope.freq_base", kF32, kOptional, rope_base},
    {"", "general.file_type"},
    {"", "attention.sliding_window", kU32, kOptional, sliding_window},
};

}  // namespace

extern const Architecture kPhi2;
constinit const Architecture kPhi2{.name = "phi2",
                                   .hf_names = kPhi2Names,
                                   .tensors = kPhi2Tensors,
                                   .shared_tensors = kUsualDecoder,
                                   .metadata = kPhi2Metadata,
                                   .own_keys = true};

extern const Architecture kPhi3;
constinit const Architecture kPhi3{.name = "phi3",
                                   .hf_names = kPhi3Names,
                                   .tensors = kPhi3Tensors,
                                   .shared_tensors = kUsualDecoder,
                                   .left_out = kOtherModalities,
                                   .metadata = kPhi3Metadata,
                                   .own_keys = true,
                                   .early_metadata = kPhi3Early,
                                   .rope_factors = RopeFactors::LongShort};

}  // namespace holdfast::convert
