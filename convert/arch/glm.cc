// GLM-4, and GLM-4.5's mixture of experts with its layer that predicts further tokens.
#include "convert/arch/usual.h"
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;
constexpr ValueType kBool = ValueType::Bool;

constexpr std::string_view kGlm4Names[] = {"Glm4ForCausalLM"};
constexpr std::string_view kGlm4MoeNames[] = {"Glm4MoeForCausalLM"};

constexpr TensorRule kGlm4Tensors[] = {
    {"layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight"},
    {"layers.{}.post_self_attn_layernorm.weight", "blk.{}.post_attention_norm.weight"},
    {"layers.{}.post_mlp_layernorm.weight", "blk.{}.post_ffw_norm.weight"},
    {"layers.{}.mlp.gate_up_proj.weight", "blk.{}.ffn_up.weight"},
};

constexpr TensorRule kGlm4MoeTensors[] = {
    {"layers.{}.post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight"},
    {"layers.{}.mlp.gate.e_score_correction_bias", "blk.{}.exp_probs_b.bias"},
    {"layers.{}.mlp.shared_experts.gate_proj.weight", "blk.{}.ffn_gate_shexp.weight"},
    {"layers.{}.mlp.shared_experts.up_proj.weight", "blk.{}.ffn_up_shexp.weight"},
    {"layers.{}.mlp.shared_experts.down_proj.weight", "blk.{}.ffn_down_shexp.weight"},
    {"layers.{}.eh_proj.weight", "blk.{}.nextn.eh_proj.weight"},
    {"layers.{}.embed_tokens.weight", "blk.{}.nextn.embed_tokens.weight"},
    {"layers.{}.enorm.weight", "blk.{}.nextn.enorm.weight"},
    {"layers.{}.hnorm.weight", "blk.{}.nextn.hnorm.weight"},
    {"layers.{}.shared_head.head.weight", "blk.{}.nextn.shared_head_head.weight"},
    {"layers.{}.shared_head.norm.weight", "blk.{}.nextn.shared_head_norm.weight"},
};

// Half of each head is rotated where the config does not say.
std::optional<MetadataValue> rotary_size(const ModelConfig& config) {
  return partial_rotary_size(config, 0.5);
}

constexpr MetadataRule kGlm4Metadata[] = {
    {"", "rope.dimension_count", kU32, kOptional, rotary_size},
};

// llama_expert_gating_func_type of llama.cpp: 2 is the sigmoid.
std::optional<MetadataValue> sigmoid(const ModelConfig&) { return std::uint32_t{2}; }

constexpr MetadataRule kGlm4MoeMetadata[] = {
    {"", "rope.dimension_count", kU32, kOptional, rotary_size},
    {"n_routed_experts", "expert_count", kU32, kOptional},
    {"moe_intermediate_size", "expert_feed_forward_length", kU32, kOptional},
    {"n_shared_experts", "expert_shared_count", kU32, kOptional},
    {"first_k_dense_replace", "leading_dense_block_count", kU32, kOptional},
    {"", "expert_gating_func", kU32, kOptional, sigmoid},
    {"routed_scaling_factor", "expert_weights_scale", kF32, kOptional},
    {"norm_topk_prob", "expert_weights_norm", kBool, kOptional},
    {"num_nextn_predict_layers", "nextn_predict_layers", kU32, kOptional},
};

}  // namespace

extern const Architecture kGlm4;
constinit const Architecture kGlm4{.name = "glm4",
                                   .hf_names = kGlm4Names,
                                   .tensors = kGlm4Tensors,
                                   .shared_tensors = kUsualDecoder,
                                   .metadata = kGlm4Metadata};

extern const Architecture kGlm4Moe;
constinit const Architecture kGlm4Moe{.name = "glm4moe",
                                      .hf_names = kGlm4MoeNames,
                                      .tensors = kGlm4MoeTensors,
                                      .shared_tensors = kUsualDecoder,
                                      .next_layers = NextLayers::Keep,
                                      .metadata = kGlm4MoeMetadata};

}  // namespace holdfast::convert
