// The GPT line: GPT-2, GPT-NeoX, Falcon and gpt-oss.
#include "convert/arch/usual.h"
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;
constexpr ValueType kBool = ValueType::Bool;
constexpr ValueType kString = ValueType::String;

constexpr std::string_view kGpt2Names[] = {"GPT2LMHeadModel"};
constexpr std::string_view kNeoxNames[] = {"GPTNeoXForCausalLM"};
constexpr std::string_view kFalconNames[] = {"FalconForCausalLM", "RWForCausalLM"};
constexpr std::string_view kGptOssNames[] = {"GptOssForCausalLM"};

constexpr std::string_view kTransformerPrefix[] = {"transformer."};
constexpr std::string_view kNeoxPrefix[] = {"gpt_neox."};

// GPT-2's layers multiply from the other side, so their weights lie transposed. attn.bias is no
// bias but the causal mask.
constexpr TensorRule kGpt2Tensors[] = {
    {"wte.weight", "token_embd.weight"},
    {"wpe.weight", "position_embd.weight"},
    {"ln_f.{}", "output_norm.{}"},
    {"lm_head.weight", "output.weight"},
    {"h.{}.ln_1.{}", "blk.{}.attn_norm.{}"},
    {"h.{}.ln_2.{}", "blk.{}.ffn_norm.{}"},
    {"h.{}.attn.bias", "", TensorOp::Drop},
    {"h.{}.attn.masked_bias", "", TensorOp::Drop},
    {"h.{}.attn.c_attn.weight", "blk.{}.attn_qkv.weight", TensorOp::Transpose},
    {"h.{}.attn.c_attn.bias", "blk.{}.attn_qkv.bias"},
    {"h.{}.attn.c_proj.weight", "blk.{}.attn_output.weight", TensorOp::Transpose},
    {"h.{}.attn.c_proj.bias", "blk.{}.attn_output.bias"},
    {"h.{}.mlp.c_fc.weight", "blk.{}.ffn_up.weight", TensorOp::Transpose},
    {"h.{}.mlp.c_fc.bias", "blk.{}.ffn_up.bias"},
    {"h.{}.mlp.c_proj.weight", "blk.{}.ffn_down.weight", TensorOp::Transpose},
    {"h.{}.mlp.c_proj.bias", "blk.{}.ffn_down.bias"},
};

std::optional<MetadataValue> four_times_width(const ModelConfig& config) {
  return to_u32(4 * config.uint("n_embd|hidden_size"), "hidden_size");
}

constexpr MetadataRule kGpt2Metadata[] = {
    {"n_layer", "block_count"},
    {"n_ctx|n_positions", "context_length"},
    {"n_embd", "embedding_length"},
    {"", "feed_forward_length", kU32, kOptional, four_times_width},
    {"n_head", "attention.head_count"},
    {"layer_norm_epsilon", "attention.layer_norm_epsilon", kF32},
    {"", "general.file_type"},
};

constexpr TensorRule kNeoxTensors[] = {
    {"embed_in.weight", "token_embd.weight"},
    {"embed_out.weight", "output.weight"},
    {"final_layer_norm.{}", "output_norm.{}"},
    {"layers.{}.input_layernorm.{}", "blk.{}.attn_norm.{}"},
    {"layers.{}.post_attention_layernorm.{}", "blk.{}.ffn_norm.{}"},
    {"layers.{}.attention.query_key_value.{}", "blk.{}.attn_qkv.{}", TensorOp::GroupedQkv},
    {"layers.{}.attention.dense.{}", "blk.{}.attn_output.{}"},
    {"layers.{}.attention.bias", "", TensorOp::Drop},
    {"layers.{}.attention.masked_bias", "", TensorOp::Drop},
    {"layers.{}.attention.rotary_emb.inv_freq", "", TensorOp::Drop},
    {"layers.{}.mlp.dense_h_to_4h.{}", "blk.{}.ffn_up.{}"},
    {"layers.{}.mlp.dense_4h_to_h.{}", "blk.{}.ffn_down.{}"},
};

// The share of a head that rotates, under the name that it has had longest.
std::optional<MetadataValue> neox_rotary_size(const ModelConfig& config) {
  constexpr double kUsual = 0.25;
  return partial_rotary_size(config, config.number_or("rotary_pct", kUsual));
}

std::optional<MetadataValue> parallel_residual(const ModelConfig&) { return true; }

// The peer leaves general.file_type out.
constexpr MetadataRule kNeoxMetadata[] = {
    {"max_position_embeddings", "context_length"},
    {"hidden_size", "embedding_length"},
    {"num_hidden_layers", "block_count"},
    {"intermediate_size", "feed_forward_length"},
    {"", "rope.dimension_count", kU32, kOptional, neox_rotary_size},
    {"num_attention_heads", "attention.head_count"},
    {"use_parallel_residual", "use_parallel_residual", kBool, kOptional, parallel_residual},
    {"layer_norm_eps", "attention.layer_norm_epsilon", kF32},
};

// Falcon-40B has a norm for each half of a layer, Falcon-7B one for both.
constexpr TensorRule kFalconTensors[] = {
    {"word_embeddings.weight", "token_embd.weight"},
    {"lm_head.weight", "output.weight"},
    {"ln_f.{}", "output_norm.{}"},
    {"h.{}.input_layernorm.{}", "blk.{}.attn_norm.{}"},
    {"h.{}.ln_mlp.{}", "blk.{}.attn_norm.{}"},
    {"h.{}.ln_attn.{}", "blk.{}.attn_norm_2.{}"},
    {"h.{}.self_attention.query_key_value.{}", "blk.{}.attn_qkv.{}", TensorOp::GroupedQkv},
    {"h.{}.self_attention.dense.{}", "blk.{}.attn_output.{}"},
    {"h.{}.self_attention.rotary_emb.inv_freq", "", TensorOp::Drop},
    {"h.{}.mlp.dense_h_to_4h.{}", "blk.{}.ffn_up.{}"},
    {"h.{}.mlp.dense_4h_to_h.{}", "blk.{}.ffn_down.{}"},
};

// No Falcon's config.json states these three.
std::optional<MetadataValue> falcon_context(const ModelConfig&) { return std::uint32_t{2048}; }

std::optional<MetadataValue> falcon_layout(const ModelConfig&) { return std::string("jploski"); }

std::optional<MetadataValue> one_key_head(const ModelConfig&) { return std::uint32_t{1}; }

constexpr MetadataRule kFalconMetadata[] = {
    {"", "context_length", kU32, kOptional, falcon_context},
    {"", "tensor_data_layout", kString, kOptional, falcon_layout},
    {"hidden_size", "embedding_length"},
    {"", "feed_forward_length", kU32, kOptional, four_times_width},
    {"num_hidden_layers|n_layer", "block_count"},
    {"num_attention_heads|n_head", "attention.head_count"},
    {"num_kv_heads|n_head_kv", "attention.head_count_kv", kU32, kOptional, one_key_head},
    {"layer_norm_epsilon", "attention.layer_norm_epsilon", kF32},
    {"", "general.file_type"},
};

// Experts come as MXFP4 blocks, or, fine-tuned, as plain matrices stored the other way round. The
// gate's and the other half's outputs alternate.
constexpr TensorRule kGptOssTensors[] = {
    {"layers.{}.post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight"},
    {"layers.{}.self_attn.sinks", "blk.{}.attn_sinks.weight"},
    {"layers.{}.mlp.router.{}", "blk.{}.ffn_gate_inp.{}"},
    {"layers.{}.mlp.experts.down_proj_blocks", "blk.{}.ffn_down_exps.weight", TensorOp::MxBlocks},
    {"layers.{}.mlp.experts.down_proj_scales", "", TensorOp::Drop},
    {"layers.{}.mlp.experts.down_proj", "blk.{}.ffn_down_exps.weight", TensorOp::Transpose},
    {"layers.{}.mlp.experts.down_proj_bias", "blk.{}.ffn_down_exps.bias"},
    {"layers.{}.mlp.experts.gate_up_proj_blocks", "blk.{}.ffn_gate_exps.weight",
     TensorOp::MxEvenBlocks},
    {"layers.{}.mlp.experts.gate_up_proj_blocks", "blk.{}.ffn_up_exps.weight",
     TensorOp::MxOddBlocks},
    {"layers.{}.mlp.experts.gate_up_proj_scales", "", TensorOp::Drop},
    {"layers.{}.mlp.experts.gate_up_proj", "blk.{}.ffn_gate_exps.weight", TensorOp::EvenTransposed},
    {"layers.{}.mlp.experts.gate_up_proj", "blk.{}.ffn_up_exps.weight", TensorOp::OddTransposed},
    {"layers.{}.mlp.experts.gate_up_proj_bias", "blk.{}.ffn_gate_exps.bias", TensorOp::EvenOutputs},
    {"layers.{}.mlp.experts.gate_up_proj_bias", "blk.{}.ffn_up_exps.bias", TensorOp::OddOutputs},
};

constexpr MetadataRule kGptOssMetadata[] = {
    {"sliding_window", "attention.sliding_window"},
    {"intermediate_size", "expert_feed_forward_length"},
};

// A file whose experts are MXFP4 says so, unless the rest is quantized too. Numbers are
// llama_ftype of llama.cpp: F16, BF16 and MXFP4_MOE.
void mark_mxfp4(const ModelConfig& config, Metadata& metadata) {
  constexpr std::uint32_t kF16Type = 1, kBf16Type = 32, kMxfp4MoeType = 38;
  const Json* quantization = config.find("quantization_config");
  const Json* method = quantization == nullptr ? nullptr : quantization->find("quant_method");
  if (method == nullptr || !method->is_string() || method->as_string() != "mxfp4") return;
  const auto* type = std::get_if<std::uint32_t>(metadata.find("general.file_type"));
  if (type != nullptr && (*type == kF16Type || *type == kBf16Type)) {
    metadata.set("general.file_type", kMxfp4MoeType);
  }
}

}  // namespace

extern const Architecture kGpt2;
constinit const Architecture kGpt2{.name = "gpt2",
                                   .hf_names = kGpt2Names,
                                   .prefixes = kTransformerPrefix,
                                   .tensors = kGpt2Tensors,
                                   .metadata = kGpt2Metadata,
                                   .own_keys = true};

extern const Architecture kGptNeox;
constinit const Architecture kGptNeox{.name = "gptneox",
                                      .hf_names = kNeoxNames,
                                      .prefixes = kNeoxPrefix,
                                      .tensors = kNeoxTensors,
                                      .metadata = kNeoxMetadata,
                                      .own_keys = true};

extern const Architecture kFalcon;
constinit const Architecture kFalcon{.name = "falcon",
                                     .hf_names = kFalconNames,
                                     .prefixes = kTransformerPrefix,
                                     .tensors = kFalconTensors,
                                     .metadata = kFalconMetadata,
                                     .own_keys = true};

extern const Architecture kGptOss;
constinit const Architecture kGptOss{.name = "gpt-oss",
                                     .hf_names = kGptOssNames,
                                     .tensors = kGptOssTensors,
                                     .shared_tensors = kUsualDecoder,
                                     .metadata = kGptOssMetadata,
                                     .refine = mark_mxfp4};

}  // namespace holdfast::convert
