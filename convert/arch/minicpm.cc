// MiniCPM, whose scales follow from depth and width, alone and inside the first MiniCPM-V; and
// MiniCPM 3 with latent attention that stays in one piece.
#include <cmath>

#include "convert/arch/minicpm_v.h"
#include "convert/arch/usual.h"
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;

constexpr std::string_view kMiniCpmNames[] = {"MiniCPMForCausalLM"};
constexpr std::string_view kMiniCpm3Names[] = {"MiniCPM3ForCausalLM"};

constexpr TensorRule kMiniCpmTensors[] = {
    {"layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", TensorOp::RotaryQuery},
    {"layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight", TensorOp::RotaryKey},
};

std::optional<MetadataValue> residual_scale(const ModelConfig& config) {
  const double depth = config.number("num_hidden_layers");
  return static_cast<float>(config.number("scale_depth") / std::sqrt(depth));
}

std::optional<MetadataValue> logit_scale(const ModelConfig& config) {
  return static_cast<float>(config.number("hidden_size") / config.number("dim_model_base"));
}

constexpr MetadataRule kMiniCpmMetadata[] = {
    {"scale_emb", "embedding_scale", kF32},
    {"", "residual_scale", kF32, kOptional, residual_scale},
    {"", "logit_scale", kF32, kOptional, logit_scale},
};

// The first MiniCPM-V has no version in its config, but its decoder's scales.
bool is_minicpm_v20(const ModelConfig& config) {
  constexpr double kVersion = 2.0;
  return config.number_or("version", kVersion) == kVersion && config.find("scale_emb") != nullptr;
}

constexpr Architecture minicpm() {
  return {.name = "minicpm",
          .hf_names = kMiniCpmNames,
          .tensors = kMiniCpmTensors,
          .shared_tensors = kUsualDecoder,
          .metadata = kMiniCpmMetadata,
          .rope_factors = RopeFactors::LongShort};
}

constexpr TensorRule kMiniCpm3Tensors[] = {
    {"layers.{}.self_attn.q_a_proj.weight", "blk.{}.attn_q_a.weight"},
    {"layers.{}.self_attn.q_a_layernorm.weight", "blk.{}.attn_q_a_norm.weight"},
    {"layers.{}.self_attn.q_b_proj.weight", "blk.{}.attn_q_b.weight"},
    {"layers.{}.self_attn.kv_a_proj_with_mqa.weight", "blk.{}.attn_kv_a_mqa.weight"},
    {"layers.{}.self_attn.kv_a_layernorm.weight", "blk.{}.attn_kv_a_norm.weight"},
    {"layers.{}.self_attn.kv_b_proj.weight", "blk.{}.attn_kv_b.weight"},
};

std::optional<MetadataValue> key_length(const ModelConfig& config) {
  return to_u32(config.uint("qk_nope_head_dim") + config.uint("qk_rope_head_dim"),
                "qk_nope_head_dim");
}

constexpr MetadataRule kMiniCpm3Metadata[] = {
    {"", "general.file_type"},
    {"max_position_embeddings", "context_length"},
    {"hidden_size", "embedding_length"},
    {"num_hidden_layers", "block_count"},
    {"intermediate_size", "feed_forward_length"},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads", "attention.head_count_kv"},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", kF32},
    {"vocab_size", "vocab_size"},
    {"q_lora_rank", "attention.q_lora_rank", kU32, kOptional},
    {"kv_lora_rank", "attention.kv_lora_rank"},
    {"", "attention.key_length", kU32, kOptional, key_length},
    {"qk_rope_head_dim", "rope.dimension_count"},
};

}  // namespace

extern const Architecture kMiniCpm;
constinit const Architecture kMiniCpm = minicpm();

extern const Architecture kMiniCpmV20;
constinit const Architecture kMiniCpmV20 = in_minicpm_v(minicpm(), is_minicpm_v20);

extern const Architecture kMiniCpm3;
constinit const Architecture kMiniCpm3{.name = "minicpm3",
                                       .hf_names = kMiniCpm3Names,
                                       .tensors = kMiniCpm3Tensors,
                                       .shared_tensors = kUsualDecoder,
                                       .metadata = kMiniCpm3Metadata,
                                       .own_keys = true,
                                       .rope_factors = RopeFactors::LongShort};

}  // namespace holdfast::convert
