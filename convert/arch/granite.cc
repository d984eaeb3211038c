// IBM Granite 3: Llama's layers with multipliers, and its mixture of experts.
#include "convert/arch/usual.h"
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;

constexpr std::string_view kGraniteNames[] = {"GraniteForCausalLM"};
constexpr std::string_view kGraniteMoeNames[] = {"GraniteMoeForCausalLM",
                                                 "GraniteMoeSharedForCausalLM"};

constexpr TensorRule kTensors[] = {
    {"layers.{}.self_attn.q_proj.{}", "blk.{}.attn_q.{}", TensorOp::RotaryQuery},
    {"layers.{}.self_attn.k_proj.{}", "blk.{}.attn_k.{}", TensorOp::RotaryKey},
    {"layers.{}.block_sparse_moe.router.layer.weight", "blk.{}.ffn_gate_inp.weight"},
    {"layers.{}.block_sparse_moe.input_linear.weight", "blk.{}.ffn_gate_exps.weight",
     TensorOp::FirstHalf},
    {"layers.{}.block_sparse_moe.input_linear.weight", "blk.{}.ffn_up_exps.weight",
     TensorOp::SecondHalf},
    {"layers.{}.block_sparse_moe.output_linear.weight", "blk.{}.ffn_down_exps.weight"},
    {"layers.{}.shared_mlp.input_linear.weight", "blk.{}.ffn_gate_shexp.weight",
     TensorOp::FirstHalf},
    {"layers.{}.shared_mlp.input_linear.weight", "blk.{}.ffn_up_shexp.weight",
     TensorOp::SecondHalf},
    {"layers.{}.shared_mlp.output_linear.weight", "blk.{}.ffn_down_shexp.weight"},
};

// A multiplier of zero means that there is none.
template <const char* kName>
std::optional<MetadataValue> multiplier(const ModelConfig& config) {
  const double value = config.number_or(kName, 0);
  if (value == 0) return std::nullopt;
  return static_cast<float>(value);
}

constexpr char kAttention[] = "attention_multiplier";
constexpr char kEmbedding[] = "embedding_multiplier";
constexpr char kResidual[] = "residual_multiplier";
constexpr char kLogits[] = "logits_scaling";

std::optional<MetadataValue> shared_size(const ModelConfig& config) {
  const std::uint64_t size = config.uint_or("shared_intermediate_size", 0);
  if (size == 0) return std::nullopt;
  return to_u32(size, "shared_intermediate_size");
}

constexpr MetadataRule kMetadata[] = {
    {"vocab_size", "vocab_size"},
    {"", "rope.dimension_count", kU32, kOptional, head_size_value},
    {"", "attention.scale", kF32, kOptional, multiplier<kAttention>},
    {"", "embedding_scale", kF32, kOptional, multiplier<kEmbedding>},
    {"", "residual_scale", kF32, kOptional, multiplier<kResidual>},
    {"", "logit_scale", kF32, kOptional, multiplier<kLogits>},
    {"", "expert_shared_feed_forward_length", kU32, kOptional, shared_size},
};
constexpr auto kDenseMetadata = std::span(kMetadata).first<6>();

}  // namespace

extern const Architecture kGranite;
constinit const Architecture kGranite{.name = "granite",
                                      .hf_names = kGraniteNames,
                                      .tensors = kTensors,
                                      .shared_tensors = kUsualDecoder,
                                      .metadata = kDenseMetadata,
                                      .rope_factors = RopeFactors::Llama3};

extern const Architecture kGraniteMoe;
constinit const Architecture kGraniteMoe{.name = "granitemoe",
                                         .hf_names = kGraniteMoeNames,
                                         .tensors = kTensors,
                                         .shared_tensors = kUsualDecoder,
                                         .metadata = kMetadata,
                                         .rope_factors = RopeFactors::Llama3};

}  // namespace holdfast::convert
