// Llama 1 to 3.x, Mistral and Mixtral, and the many models that reuse their classes.
#include "convert/arch/usual.h"
#include "convert/architecture.h"

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

}  // namespace

extern const Architecture kLlama;
constinit const Architecture kLlama{.name = "llama",
                                    .hf_names = kNames,
                                    .tensors = kTensors,
                                    .shared_tensors = kUsualDecoder,
                                    .metadata = kMetadata,
                                    .rope_factors = RopeFactors::Llama3};

}  // namespace holdfast::convert
