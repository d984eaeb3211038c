// Qwen 2 to 3 and what shares their layers, with and without experts, and the text models of the
// Qwen-VL family. Rotary order is the checkpoint's own.
#include "convert/arch/minicpm_v.h"
#include "convert/arch/usual.h"
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;

constexpr std::string_view kQwen2Names[] = {"Qwen2ForCausalLM", "Qwen2Model"};
constexpr std::string_view kQwen2VlNames[] = {"Qwen2VLForConditionalGeneration",
                                              "Qwen2_5_VLForConditionalGeneration"};
constexpr std::string_view kQwen2MoeNames[] = {"Qwen2MoeForCausalLM"};
constexpr std::string_view kQwen3Names[] = {"Qwen3ForCausalLM", "Qwen3Model"};
constexpr std::string_view kQwen3VlNames[] = {"Qwen3VLForConditionalGeneration"};
constexpr std::string_view kQwen3MoeNames[] = {"Qwen3MoeForCausalLM"};
constexpr std::string_view kQwen3VlMoeNames[] = {"Qwen3VLMoeForConditionalGeneration"};

constexpr TensorRule kExperts[] = {
    {"layers.{}.mlp.experts.down_proj", "blk.{}.ffn_down_exps.weight"},
    {"layers.{}.mlp.experts.gate_up_proj", "blk.{}.ffn_gate_exps.weight", TensorOp::FirstHalf},
    {"layers.{}.mlp.experts.gate_up_proj", "blk.{}.ffn_up_exps.weight", TensorOp::SecondHalf},
    {"layers.{}.mlp.shared_expert.gate_proj.weight", "blk.{}.ffn_gate_shexp.weight"},
    {"layers.{}.mlp.shared_expert.up_proj.weight", "blk.{}.ffn_up_shexp.weight"},
    {"layers.{}.mlp.shared_expert.down_proj.weight", "blk.{}.ffn_down_shexp.weight"},
    {"layers.{}.mlp.shared_expert_gate.weight", "blk.{}.ffn_gate_inp_shexp.weight"},
};

// Its experts are stored the other way round: [experts, inputs, outputs].
constexpr TensorRule kQwen3VlExperts[] = {
    {"layers.{}.mlp.experts.down_proj", "blk.{}.ffn_down_exps.weight", TensorOp::Transpose},
    {"layers.{}.mlp.experts.gate_up_proj", "blk.{}.ffn_gate_exps.weight",
     TensorOp::FirstHalfTransposed},
    {"layers.{}.mlp.experts.gate_up_proj", "blk.{}.ffn_up_exps.weight",
     TensorOp::SecondHalfTransposed},
};

// Layers of the vision tower whose features the text model adds to its own.
std::optional<MetadataValue> deepstack_layers(const ModelConfig& config) {
  const Json* layers = config.root().find_path({"vision_config", "deepstack_visual_indexes"});
  const std::string_view where = "config.json: vision_config.deepstack_visual_indexes";
  return to_u32(layers == nullptr ? 0 : layers->as_array(where).size(), where);
}

constexpr MetadataRule kQwen2Metadata[] = {
    {"", "pooling_type", kU32, kOptional, pooling_type},
};

constexpr MetadataRule kMoeMetadata[] = {
    {"moe_intermediate_size", "expert_feed_forward_length", kU32, kOptional},
    {"shared_expert_intermediate_size", "expert_shared_feed_forward_length", kU32, kOptional},
};

constexpr MetadataRule kQwen3VlMetadata[] = {
    {"", "pooling_type", kU32, kOptional, pooling_type},
    {"", "n_deepstack_layers", kU32, kOptional, deepstack_layers},
};

constexpr MetadataRule kQwen3VlMoeMetadata[] = {
    {"moe_intermediate_size", "expert_feed_forward_length", kU32, kOptional},
    {"", "n_deepstack_layers", kU32, kOptional, deepstack_layers},
};

constexpr Architecture dense(std::string_view name, std::span<const std::string_view> hf_names = {},
                             std::span<const MetadataRule> metadata = {}) {
  return {
      .name = name, .hf_names = hf_names, .shared_tensors = kUsualDecoder, .metadata = metadata};
}

constexpr Architecture with_experts(std::string_view name,
                                    std::span<const std::string_view> hf_names) {
  Architecture architecture = dense(name, hf_names, kMoeMetadata);
  architecture.tensors = kExperts;
  return architecture;
}

}  // namespace

extern const Architecture kQwen2;
constinit const Architecture kQwen2 = dense("qwen2", kQwen2Names, kQwen2Metadata);

// Around Qwen 2 and Qwen 3.
extern const Architecture kMiniCpmV26;
constinit const Architecture kMiniCpmV26 =
    in_minicpm_v(dense("qwen2"), is_minicpm_v<kMiniCpmV26Version>);

extern const Architecture kMiniCpmV45;
constinit const Architecture kMiniCpmV45 =
    in_minicpm_v(dense("qwen3"), is_minicpm_v<kMiniCpmV45Version>);

extern const Architecture kQwen2Vl;
constinit const Architecture kQwen2Vl{.name = "qwen2vl",
                                      .hf_names = kQwen2VlNames,
                                      .shared_tensors = kUsualDecoder,
                                      .left_out = kOtherModalities};

extern const Architecture kQwen2Moe;
constinit const Architecture kQwen2Moe = with_experts("qwen2moe", kQwen2MoeNames);

extern const Architecture kQwen3;
constinit const Architecture kQwen3 = dense("qwen3", kQwen3Names, kQwen2Metadata);

extern const Architecture kQwen3Vl;
constinit const Architecture kQwen3Vl{.name = "qwen3vl",
                                      .hf_names = kQwen3VlNames,
                                      .shared_tensors = kUsualDecoder,
                                      .left_out = kOtherModalities,
                                      .metadata = kQwen3VlMetadata};

extern const Architecture kQwen3Moe;
constinit const Architecture kQwen3Moe = with_experts("qwen3moe", kQwen3MoeNames);

extern const Architecture kQwen3VlMoe;
constinit const Architecture kQwen3VlMoe{.name = "qwen3vlmoe",
                                         .hf_names = kQwen3VlMoeNames,
                                         .tensors = kQwen3VlExperts,
                                         .shared_tensors = kUsualDecoder,
                                         .left_out = kOtherModalities,
                                         .metadata = kQwen3VlMoeMetadata};

}  // namespace holdfast::convert
