// StableLM 1 and 2. StableLM-2 12B has a norm for each query and key head; those of a layer become
// one tensor of one row per head.
#include "convert/arch/usual.h"
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;
constexpr ValueType kBool = ValueType::Bool;

constexpr std::string_view kNames[] = {"StableLmForCausalLM", "StableLMEpochForCausalLM"};

constexpr TensorRule kTensors[] = {
    {"layers.{}.self_attn.q_layernorm.norms.{}.weight", "blk.{}.attn_q_norm.weight",
     TensorOp::Stack},
    {"layers.{}.self_attn.k_layernorm.norms.{}.weight", "blk.{}.attn_k_norm.weight",
     TensorOp::Stack},
};

std::optional<MetadataValue> rotary_size(const ModelConfig& config) {
  return partial_rotary_size(config, 0.25);
}

std::optional<MetadataValue> parallel_residual(const ModelConfig&) { return true; }

constexpr MetadataRule kMetadata[] = {
    {"max_position_embeddings", "context_length"},
    {"hidden_size", "embedding_length"},
    {"num_hidden_layers", "block_count"},
    {"intermediate_size", "feed_forward_length"},
    {"", "rope.dimension_count", kU32, kOptional, rotary_size},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads|num_attention_heads", "attention.head_count_kv"},
    {"use_parallel_residual", "use_parallel_residual", kBool, kOptional, parallel_residual},
    {"layer_norm_eps|norm_eps", "attention.layer_norm_epsilon", kF32},
    {"", "general.file_type"},
};

}  // namespace

extern const Architecture kStableLm;
constinit const Architecture kStableLm{.name = "stablelm",
                                       .hf_names = kNames,
                                       .tensors = kTensors,
                                       .shared_tensors = kUsualDecoder,
                                       .metadata = kMetadata,
                                       .own_keys = true};

}  // namespace holdfast::convert
