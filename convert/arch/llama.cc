// Llama 1 to 3.x, Mistral, Mixtral, Mistral 3 and SmolLM3, and the many models that reuse their
// classes.
#include "convert/arch/minicpm_v.h"
#include "convert/arch/usual.h"
#include "convert/architecture.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::string_view kNames[] = {"LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM",
                                       "MixtralForCausalLM", "LlamaModel"};

constexpr TensorRule kTensors[] = {
    {"layers.{}.self_attn.q_proj.{}", "blk.{}.attn_q.{}", TensorOp::RotaryQuery},
    {"layers.{}.self_attn.k_proj.{}", "blk.{}.attn_k.{}", TensorOp::RotaryKey},
    {"layers.{}.block_sparse_moe.gate.weight", "blk.{}.ffn_gate_inp.weight"},
    {"layers.{}.block_sparse_moe.experts.{}.w1.weight", "blk.{}.ffn_gate_exps.weight",
     TensorOp::Stack},
    {"layers.{}.block_sparse_moe.experts.{}.w2.weight", "blk.{}.ffn_down_exps.weight",
     TensorOp::Stack},
    {"layers.{}.block_sparse_moe.experts.{}.w3.weight", "blk.{}.ffn_up_exps.weight",
     TensorOp::Stack},
};

constexpr MetadataRule kMetadata[] = {
    {"vocab_size", "vocab_size"},
    {"head_dim", "rope.dimension_count", ValueType::U32, Need::Required, head_size_value},
};

constexpr std::string_view kSmolLm3Names[] = {"SmolLM3ForCausalLM"};

constexpr std::string_view kMistral3Names[] = {"Mistral3ForConditionalGeneration",
                                               "Ministral3ForCausalLM"};

double rope_number(const ModelConfig& config, std::string_view name) {
  const Json* value = config.rope().find(name);
  const std::string where = "config.json: rope_parameters." + std::string(name);
  if (value == nullptr || value->is_null()) fail(ErrorKind::Corrupt, where + ": missing");
  return value->as_double(where);
}

// Ministral 3 stretches its context by yarn and cools attention with distance.
template <const char* kName>
std::optional<MetadataValue> of_ministral(const ModelConfig& config) {
  const Json* type = config.find("model_type");
  if (type == nullptr || !type->is_string() || type->as_string() != "ministral3") {
    return std::nullopt;
  }
  return static_cast<float>(rope_number(config, kName));
}

constexpr char kLogMultiplier[] = "mscale_all_dim";
constexpr char kTemperature[] = "llama_4_scaling_beta";

constexpr MetadataRule kMistral3Metadata[] = {
    {"vocab_size", "vocab_size"},
    {"head_dim", "rope.dimension_count", ValueType::U32, Need::Required, head_size_value},
    {"", "rope.scaling.yarn_log_multiplier", ValueType::F32, Need::Optional,
     of_ministral<kLogMultiplier>},
    {"", "attention.temperature_scale", ValueType::F32, Need::Optional, of_ministral<kTemperature>},
};

constexpr Architecture like_llama(std::string_view name, std::span<const std::string_view> hf_names,
                                  RopeFactors rope_factors = RopeFactors::Llama3) {
  return {.name = name,
          .hf_names = hf_names,
          .tensors = kTensors,
          .shared_tensors = kUsualDecoder,
          .metadata = kMetadata,
          .rope_factors = rope_factors};
}

}  // namespace

extern const Architecture kLlama;
constinit const Architecture kLlama = like_llama("llama", kNames);

extern const Architecture kSmolLm3;
constinit const Architecture kSmolLm3 = like_llama("smollm3", kSmolLm3Names);

// Around Llama 3: MiniCPM-Llama3-V 2.5.
extern const Architecture kMiniCpmV25;
constinit const Architecture kMiniCpmV25 =
    in_minicpm_v(like_llama("llama", {}), is_minicpm_v<kMiniCpmV25Version>);

// Around MiniCPM 4 with 3 billion weights, whose scales are part of its weights, so that its class
// is Llama's; its long contexts are MiniCPM's (OpenBMB's MiniCPM-V-4 GGUF; vLLM, minicpmv.py).
extern const Architecture kMiniCpmV40;
constinit const Architecture kMiniCpmV40 =
    in_minicpm_v(like_llama("llama", {}, RopeFactors::LongShort), is_minicpm_v<kMiniCpmV40Version>);

extern const Architecture kMistral3;
constinit const Architecture kMistral3{.name = "mistral3",
                                       .hf_names = kMistral3Names,
                                       .tensors = kTensors,
                                       .shared_tensors = kUsualDecoder,
                                       .left_out = kOtherModalities,
                                       .metadata = kMistral3Metadata,
                                       .rope_factors = RopeFactors::Llama3};

}  // namespace holdfast::convert
