// DeepSeek V2, V3 and R1, and models of their shape: latent attention with its fused kv_b
// projection split per head, routed and shared experts.
#include "convert/arch/usual.h"
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;
constexpr ValueType kBool = ValueType::Bool;

constexpr std::string_view kNames[] = {"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM",
                                       "KimiVLForConditionalGeneration",
                                       "KimiK25ForConditionalGeneration", "YoutuForCausalLM"};

constexpr TensorRule kTensors[] = {
    {"layers.{}.self_attn.kv_a_layernorm.weight", "blk.{}.attn_kv_a_norm.weight"},
    {"layers.{}.self_attn.kv_a_proj_with_mqa.{}", "blk.{}.attn_kv_a_mqa.{}"},
    {"layers.{}.self_attn.kv_b_proj.weight", "blk.{}.attn_k_b.weight", TensorOp::LatentKey},
    {"layers.{}.self_attn.kv_b_proj.weight", "blk.{}.attn_v_b.weight", TensorOp::LatentValue},
    {"layers.{}.self_attn.q_a_layernorm.weight", "blk.{}.attn_q_a_norm.weight"},
    {"layers.{}.self_attn.q_a_proj.{}", "blk.{}.attn_q_a.{}"},
    {"layers.{}.self_attn.q_b_proj.weight", "blk.{}.attn_q_b.weight"},
    {"layers.{}.mlp.gate.e_score_correction_bias", "blk.{}.exp_probs_b.bias"},
    {"layers.{}.mlp.shared_experts.gate_proj.weight", "blk.{}.ffn_gate_shexp.weight"},
    {"layers.{}.mlp.shared_experts.up_proj.weight", "blk.{}.ffn_up_shexp.weight"},
    {"layers.{}.mlp.shared_experts.down_proj.weight", "blk.{}.ffn_down_shexp.weight"},
};

// The runtime sees latent attention as one wide key head.
std::optional<MetadataValue> one_key_head(const ModelConfig&) { return std::uint32_t{1}; }

std::optional<MetadataValue> default_epsilon(const ModelConfig&) { return 1e-6F; }

std::optional<MetadataValue> dense_blocks(const ModelConfig& config) {
  const bool has_experts = config.find("n_routed_experts") != nullptr;
  return to_u32(has_experts ? 0 : config.uint("num_hidden_layers"), "num_hidden_layers");
}

std::uint64_t latent_rank(const ModelConfig& config) { return config.uint_or("kv_lora_rank", 512); }

std::optional<MetadataValue> latent_rank_value(const ModelConfig& config) {
  return to_u32(latent_rank(config), "kv_lora_rank");
}

std::optional<MetadataValue> key_length(const ModelConfig& config) {
  return to_u32(latent_rank(config) + config.uint("qk_rope_head_dim"), "qk_rope_head_dim");
}

std::optional<MetadataValue> key_length_per_head(const ModelConfig& config) {
  return to_u32(config.uint("qk_nope_head_dim") + config.uint("qk_rope_head_dim"),
                "qk_nope_head_dim");
}

std::optional<MetadataValue> no_shared_experts(const ModelConfig&) { return std::uint32_t{0}; }

std::optional<MetadataValue> normalized(const ModelConfig& config) {
  if (!config.flag("norm_topk_prob")) return std::nullopt;
  return true;
}

// A tenth of mscale_all_dim: the runtime's reading of this key for this family.
std::optional<MetadataValue> yarn_multiplier(const ModelConfig& config) {
  const Json* scale = config.rope().find("mscale_all_dim");
  if (scale == nullptr || scale->is_null()) return std::nullopt;
  return static_cast<float>(0.1 * scale->as_double("config.json: rope_scaling.mscale_all_dim"));
}

constexpr MetadataRule kMetadata[] = {
    {"", "attention.head_count_kv", kU32, kOptional, one_key_head},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", kF32, kOptional, default_epsilon},
    {"first_k_dense_replace", "leading_dense_block_count", kU32, kOptional, dense_blocks},
    {"vocab_size", "vocab_size"},
    {"q_lora_rank", "attention.q_lora_rank", kU32, kOptional},
    {"", "attention.kv_lora_rank", kU32, kOptional, latent_rank_value},
    {"", "attention.key_length", kU32, kOptional, key_length},
    {"", "attention.value_length", kU32, kOptional, latent_rank_value},
    {"", "attention.key_length_mla", kU32, kOptional, key_length_per_head},
    {"v_head_dim", "attention.value_length_mla"},
    {"moe_intermediate_size|intermediate_size", "expert_feed_forward_length"},
    {"n_routed_experts", "expert_count", kU32, kOptional},
    {"n_shared_experts", "expert_shared_count", kU32, kOptional, no_shared_experts},
    {"routed_scaling_factor", "expert_weights_scale", kF32, kOptional},
    {"", "expert_weights_norm", kBool, kOptional, normalized},
    {"qk_rope_head_dim", "rope.dimension_count"},
    {"", "rope.scaling.yarn_log_multiplier", kF32, kOptional, yarn_multiplier},
};

}  // namespace

extern const Architecture kDeepseek2;
constinit const Architecture kDeepseek2{.name = "deepseek2",
                                        .hf_names = kNames,
                                        .tensors = kTensors,
                                        .shared_tensors = kUsualDecoder,
                                        .left_out = kOtherModalities,
                                        .next_layers = NextLayers::Drop,
                                        .metadata = kMetadata};

}  // namespace holdfast::convert
