// Llama 1 to 3.x, Mistral and Mixtral, and the many models that reuse their classes.
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr std::string_view kNames[] = {"LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM",
                                       "MixtralForCausalLM"};

constexpr TensorRule kTensors[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
    {"model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    {"model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight"},
    {"model.layers.{}.self_attn.q_proj.{}", "blk.{}.attn_q.{}", TensorOp::RotaryQuery},
    {"model.layers.{}.self_attn.k_proj.{}", "blk.{}.attn_k.{}", TensorOp::RotaryKey},
    {"model.layers.{}.self_attn.v_proj.{}", "blk.{}.attn_v.{}"},
    {"model.layers.{}.self_attn.o_proj.{}", "blk.{}.attn_output.{}"},
    {"model.layers.{}.self_attn.rotary_emb.inv_freq", "", TensorOp::Drop},
    {"model.layers.{}.mlp.gate_proj.{}", "blk.{}.ffn_gate.{}"},
    {"model.layers.{}.mlp.up_proj.{}", "blk.{}.ffn_up.{}"},
    {"model.layers.{}.mlp.down_proj.{}", "blk.{}.ffn_down.{}"},
    {"model.layers.{}.block_sparse_moe.gate.weight", "blk.{}.ffn_gate_inp.weight"},
    {"model.layers.{}.block_sparse_moe.experts.{}.w1.weight", "blk.{}.ffn_gate_exps.weight",
     TensorOp::Stack},
    {"model.layers.{}.block_sparse_moe.experts.{}.w2.weight", "blk.{}.ffn_down_exps.weight",
     TensorOp::Stack},
    {"model.layers.{}.block_sparse_moe.experts.{}.w3.weight", "blk.{}.ffn_up_exps.weight",
     TensorOp::Stack},
};

constexpr MetadataRule kMetadata[] = {
    {"vocab_size", "vocab_size"},
    {"head_dim", "rope.dimension_count", ValueType::U32, Need::Required, hidden_per_head},
};

}  // namespace

extern const Architecture kLlama;
constinit const Architecture kLlama{.name = "llama",
                                    .hf_names = kNames,
                                    .tensors = kTensors,
                                    .metadata = kMetadata,
                                    .rope_factors = RopeFactors::Llama3};

}  // namespace holdfast::convert
