// Grok-1, and Grok-2, which has other names, a dense half beside the experts, and a stretched
// context.
#include <cmath>

#include "convert/arch/usual.h"
#include "convert/architecture.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;
constexpr ValueType kString = ValueType::String;

constexpr std::string_view kNames[] = {"Grok1ForCausalLM", "GrokForCausalLM"};
constexpr std::string_view kPrefixes[] = {"transformer.", "model."};

constexpr TensorRule kTensors[] = {
    // Grok-1
    {"in_out_embed.weight", "token_embd.weight"},
    {"rms_norm.weight", "output_norm.weight"},
    {"decoder_layer.{}.rms_norm.weight", "blk.{}.attn_norm.weight"},
    {"decoder_layer.{}.rms_norm_1.weight", "blk.{}.attn_output_norm.weight"},
    {"decoder_layer.{}.rms_norm_2.weight", "blk.{}.ffn_norm.weight"},
    {"decoder_layer.{}.rms_norm_3.weight", "blk.{}.layer_output_norm.weight"},
    {"decoder_layer.{}.multi_head_attention.query.weight", "blk.{}.attn_q.weight"},
    {"decoder_layer.{}.multi_head_attention.key.weight", "blk.{}.attn_k.weight"},
    {"decoder_layer.{}.multi_head_attention.value.weight", "blk.{}.attn_v.weight"},
    {"decoder_layer.{}.multi_head_attention.linear.weight", "blk.{}.attn_output.weight"},
    {"decoder_layer.{}.router.weight", "blk.{}.ffn_gate_inp.weight"},
    {"decoder_layer.{}.moe.{}.linear.weight", "blk.{}.ffn_gate_exps.weight", TensorOp::Stack},
    {"decoder_layer.{}.moe.{}.linear_1.weight", "blk.{}.ffn_down_exps.weight", TensorOp::Stack},
    {"decoder_layer.{}.moe.{}.linear_v.weight", "blk.{}.ffn_up_exps.weight", TensorOp::Stack},
    // Grok-2
    {"layers.{}.pre_attn_norm.weight", "blk.{}.attn_norm.weight"},
    {"layers.{}.post_attn_norm.weight", "blk.{}.attn_output_norm.weight"},
    {"layers.{}.pre_moe_norm.weight", "blk.{}.ffn_norm.weight"},
    {"layers.{}.post_moe_norm.weight", "blk.{}.post_ffw_norm.weight"},
    {"layers.{}.block_sparse_moe.gate.weight", "blk.{}.ffn_gate_inp.weight"},
    {"layers.{}.block_sparse_moe.experts.{}.w1.weight", "blk.{}.ffn_gate_exps.weight",
     TensorOp::Stack},
    {"layers.{}.block_sparse_moe.experts.{}.w2.weight", "blk.{}.ffn_down_exps.weight",
     TensorOp::Stack},
    {"layers.{}.block_sparse_moe.experts.{}.w3.weight", "blk.{}.ffn_up_exps.weight",
     TensorOp::Stack},
};

std::optional<MetadataValue> default_softcap(const ModelConfig&) { return 30.0F; }

std::optional<MetadataValue> final_softcap(const ModelConfig& config) {
  const double cap = config.number_or("final_logit_softcapping", 0);
  if (cap == 0) return std::nullopt;
  return static_cast<float>(cap);
}

// Its settings stand at the top level; "original" means yarn as well.
bool is_stretched(const ModelConfig& config) {
  const Json* type = config.find("rope_type");
  if (type == nullptr || !type->is_string()) return false;
  return type->as_string() == "yarn" || type->as_string() == "original";
}

std::optional<MetadataValue> scaling_type(const ModelConfig& config) {
  if (!is_stretched(config)) return std::nullopt;
  return std::string("yarn");
}

std::optional<MetadataValue> original_context(const ModelConfig& config) {
  if (!is_stretched(config)) return std::nullopt;
  return to_u32(config.uint("original_max_position_embeddings"),
                "original_max_position_embeddings");
}

template <const char* kName>
std::optional<MetadataValue> when_stretched(const ModelConfig& config) {
  if (!is_stretched(config)) return std::nullopt;
  return static_cast<float>(config.number(kName));
}

constexpr char kFactor[] = "scaling_factor";
constexpr char kExtrapolation[] = "extrapolation_factor";
constexpr char kAttention[] = "attn_factor";
constexpr char kFast[] = "beta_fast";
constexpr char kSlow[] = "beta_slow";

std::optional<MetadataValue> temperature_length(const ModelConfig& config) {
  const std::uint64_t length = config.uint_or("attn_temperature_len", 0);
  if (length == 0) return std::nullopt;
  return to_u32(length, "attn_temperature_len");
}

std::optional<MetadataValue> output_scale(const ModelConfig& config) {
  return static_cast<float>(1 / std::sqrt(static_cast<double>(head_size(config))));
}

constexpr MetadataRule kMetadata[] = {
    {"attn_logit_softcapping", "attn_logit_softcapping", kF32, kOptional, default_softcap},
    {"router_logit_softcapping", "router_logit_softcapping", kF32, kOptional, default_softcap},
    {"", "final_logit_softcapping", kF32, kOptional, final_softcap},
    {"moe_intermediate_size", "expert_feed_forward_length", kU32, kOptional},
    {"", "rope.scaling.type", kString, kOptional, scaling_type},
    {"", "rope.scaling.factor", kF32, kOptional, when_stretched<kFactor>},
    {"", "rope.scaling.original_context_length", kU32, kOptional, original_context},
    {"", "rope.scaling.yarn_ext_factor", kF32, kOptional, when_stretched<kExtrapolation>},
    {"", "rope.scaling.yarn_attn_factor", kF32, kOptional, when_stretched<kAttention>},
    {"", "rope.scaling.yarn_beta_fast", kF32, kOptional, when_stretched<kFast>},
    {"", "rope.scaling.yarn_beta_slow", kF32, kOptional, when_stretched<kSlow>},
    {"", "attention.temperature_length", kU32, kOptional, temperature_length},
    {"attn_output_multiplier", "attention.output_scale", kF32, kOptional, output_scale},
    {"embedding_multiplier_scale", "embedding_scale", kF32},
    {"output_multiplier_scale", "logit_scale", kF32},
};

}  // namespace

extern const Architecture kGrok;
constinit const Architecture kGrok{.name = "grok",
                                   .hf_names = kNames,
                                   .prefixes = kPrefixes,
                                   .tensors = kTensors,
                                   .shared_tensors = kUsualDecoder,
                                   .metadata = kMetadata};

}  // namespace holdfast::convert
