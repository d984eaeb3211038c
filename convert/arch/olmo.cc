// OLMo 1 to 3 and OLMoE of the Allen Institute.
#include "convert/arch/usual.h"
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;

constexpr std::string_view kOlmoNames[] = {"OlmoForCausalLM", "OLMoForCausalLM"};
constexpr std::string_view kOlmo2Names[] = {"Olmo2ForCausalLM", "Olmo3ForCausalLM"};
constexpr std::string_view kOlmoeNames[] = {"OlmoeForCausalLM"};

constexpr TensorRule kOlmoTensors[] = {
    {"layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", TensorOp::RotaryQuery},
    {"layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight", TensorOp::RotaryKey},
};

// Norms stand behind each half of a layer only.
constexpr TensorRule kOlmo2Tensors[] = {
    {"layers.{}.post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight"},
    {"layers.{}.post_feedforward_layernorm.weight", "blk.{}.post_ffw_norm.weight"},
};

std::optional<MetadataValue> epsilon(const ModelConfig&) { return 1e-5F; }

constexpr MetadataRule kOlmoMetadata[] = {
    {"", "attention.layer_norm_epsilon", kF32, kOptional, epsilon},
    {"clip_qkv", "attention.clamp_kqv", kF32, kOptional},
};

std::optional<MetadataValue> window_pattern(const ModelConfig& config) {
  if (config.find("sliding_window") == nullptr) return std::nullopt;
  return sliding_layers(config);
}

constexpr MetadataRule kOlmo2Metadata[] = {
    {"sliding_window", "attention.sliding_window", kU32, kOptional},
    {"", "attention.sliding_window_pattern", kU32, kOptional, window_pattern},
};

constexpr MetadataRule kOlmoeMetadata[] = {
    {"", "attention.layer_norm_rms_epsilon", kF32, kOptional, epsilon},
};

}  // namespace

extern const Architecture kOlmo;
constinit const Architecture kOlmo{.name = "olmo",
                                   .hf_names = kOlmoNames,
                                   .tensors = kOlmoTensors,
                                   .shared_tensors = kUsualDecoder,
                                   .metadata = kOlmoMetadata};

extern const Architecture kOlmo2;
constinit const Architecture kOlmo2{.name = "olmo2",
                                    .hf_names = kOlmo2Names,
                                    .tensors = kOlmo2Tensors,
                                    .shared_tensors = kUsualDecoder,
                                    .metadata = kOlmo2Metadata};

extern const Architecture kOlmoe;
constinit const Architecture kOlmoe{.name = "olmoe",
                                    .hf_names = kOlmoeNames,
                                    .shared_tensors = kUsualDecoder,
                                    .metadata = kOlmoeMetadata};

}  // namespace holdfast::convert
