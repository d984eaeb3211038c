// Rules that most decoders share: tensor names as Llama's first implementation in transformers set
// them, experts as Qwen's. A family lists what is its own first.
#pragma once

#include "convert/architecture.h"

namespace holdfast::convert {

inline constexpr TensorRule kUsualDecoder[] = {
    {"embed_tokens.weight", "token_embd.weight"},
    {"norm.{}", "output_norm.{}"},
    {"lm_head.{}", "output.{}"},
    {"layers.{}.input_layernorm.{}", "blk.{}.attn_norm.{}"},
    {"layers.{}.post_attention_layernorm.{}", "blk.{}.ffn_norm.{}"},
    {"layers.{}.self_attn.q_proj.{}", "blk.{}.attn_q.{}"},
    {"layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight"},
    {"layers.{}.self_attn.k_proj.{}", "blk.{}.attn_k.{}"},
    {"layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight"},
    {"layers.{}.self_attn.v_proj.{}", "blk.{}.attn_v.{}"},
    {"layers.{}.self_attn.o_proj.{}", "blk.{}.attn_output.{}"},
    {"layers.{}.self_attn.rotary_emb.inv_freq", "", TensorOp::Drop},
    {"layers.{}.mlp.gate_proj.{}", "blk.{}.ffn_gate.{}"},
    {"layers.{}.mlp.up_proj.{}", "blk.{}.ffn_up.{}"},
    {"layers.{}.mlp.down_proj.{}", "blk.{}.ffn_down.{}"},
    {"layers.{}.mlp.gate.weight", "blk.{}.ffn_gate_inp.weight"},
    {"layers.{}.mlp.experts.{}.down_proj.weight", "blk.{}.ffn_down_exps.weight", TensorOp::Stack},
    {"layers.{}.mlp.experts.{}.gate_proj.weight", "blk.{}.ffn_gate_exps.weight", TensorOp::Stack},
    {"layers.{}.mlp.experts.{}.up_proj.weight", "blk.{}.ffn_up_exps.weight", TensorOp::Stack},
};

}  // namespace holdfast::convert
