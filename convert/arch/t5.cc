// T5 and its kin: an encoder and a decoder that share one embedding, which checkpoints store under
// up to three names.
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;

constexpr std::string_view kT5Names[] = {"T5ForConditionalGeneration", "T5WithLMHeadModel",
                                         "MT5ForConditionalGeneration",
                                         "UMT5ForConditionalGeneration", "UMT5Model"};
constexpr std::string_view kEncoderNames[] = {"T5EncoderModel"};

constexpr TensorRule kTensors[] = {
    {"shared.weight", "token_embd.weight", TensorOp::Once},
    {"encoder.embed_tokens.weight", "token_embd.weight", TensorOp::Once},
    {"decoder.embed_tokens.weight", "token_embd.weight", TensorOp::Once},
    {"lm_head.weight", "output.weight"},
    {"encoder.final_layer_norm.weight", "enc.output_norm.weight"},
    {"encoder.block.{}.layer.0.layer_norm.weight", "enc.blk.{}.attn_norm.weight"},
    {"encoder.block.{}.layer.0.SelfAttention.q.weight", "enc.blk.{}.attn_q.weight"},
    {"encoder.block.{}.layer.0.SelfAttention.k.weight", "enc.blk.{}.attn_k.weight"},
    {"encoder.block.{}.layer.0.SelfAttention.v.weight", "enc.blk.{}.attn_v.weight"},
    {"encoder.block.{}.layer.0.SelfAttention.o.weight", "enc.blk.{}.attn_o.weight"},
    {"encoder.block.{}.layer.0.SelfAttention.relative_attention_bias.weight",
     "enc.blk.{}.attn_rel_b.weight"},
    {"encoder.block.{}.layer.1.layer_norm.weight", "enc.blk.{}.ffn_norm.weight"},
    {"encoder.block.{}.layer.1.DenseReluDense.wi.weight", "enc.blk.{}.ffn_up.weight"},
    {"encoder.block.{}.layer.1.DenseReluDense.wi_0.weight", "enc.blk.{}.ffn_gate.weight"},
    {"encoder.block.{}.layer.1.DenseReluDense.wi_1.weight", "enc.blk.{}.ffn_up.weight"},
    {"encoder.block.{}.layer.1.DenseReluDense.wo.weight", "enc.blk.{}.ffn_down.weight"},
    {"decoder.final_layer_norm.weight", "dec.output_norm.weight"},
    {"decoder.block.{}.layer.0.layer_norm.weight", "dec.blk.{}.attn_norm.weight"},
    {"decoder.block.{}.layer.0.SelfAttention.q.weight", "dec.blk.{}.attn_q.weight"},
    {"decoder.block.{}.layer.0.SelfAttention.k.weight", "dec.blk.{}.attn_k.weight"},
    {"decoder.block.{}.layer.0.SelfAttention.v.weight", "dec.blk.{}.attn_v.weight"},
    {"decoder.block.{}.layer.0.SelfAttention.o.weight", "dec.blk.{}.attn_o.weight"},
    {"decoder.block.{}.layer.0.SelfAttention.relative_attention_bias.weight",
     "dec.blk.{}.attn_rel_b.weight"},
    {"decoder.block.{}.layer.1.layer_norm.weight", "dec.blk.{}.cross_attn_norm.weight"},
    {"decoder.block.{}.layer.1.EncDecAttention.q.weight", "dec.blk.{}.cross_attn_q.weight"},
    {"decoder.block.{}.layer.1.EncDecAttention.k.weight", "dec.blk.{}.cross_attn_k.weight"},
    {"decoder.block.{}.layer.1.EncDecAttention.v.weight", "dec.blk.{}.cross_attn_v.weight"},
    {"decoder.block.{}.layer.1.EncDecAttention.o.weight", "dec.blk.{}.cross_attn_o.weight"},
    {"decoder.block.{}.layer.1.EncDecAttention.relative_attention_bias.weight",
     "dec.blk.{}.cross_attn_rel_b.weight"},
    {"decoder.block.{}.layer.2.layer_norm.weight", "dec.blk.{}.ffn_norm.weight"},
    {"decoder.block.{}.layer.2.DenseReluDense.wi.weight", "dec.blk.{}.ffn_up.weight"},
    {"decoder.block.{}.layer.2.DenseReluDense.wi_0.weight", "dec.blk.{}.ffn_gate.weight"},
    {"decoder.block.{}.layer.2.DenseReluDense.wi_1.weight", "dec.blk.{}.ffn_up.weight"},
    {"decoder.block.{}.layer.2.DenseReluDense.wo.weight", "dec.blk.{}.ffn_down.weight"},
};

std::optional<MetadataValue> default_context(const ModelConfig&) { return std::uint32_t{512}; }

constexpr MetadataRule kT5Metadata[] = {
    {"n_positions", "context_length", kU32, kOptional, default_context},
    {"d_model", "embedding_length"},
    {"d_ff", "feed_forward_length"},
    {"num_layers", "block_count"},
    {"num_decoder_layers", "decoder_block_count", kU32, kOptional},
    {"num_heads", "attention.head_count"},
    {"d_kv", "attention.key_length"},
    {"d_kv", "attention.value_length"},
    {"layer_norm_epsilon", "attention.layer_norm_epsilon", kF32},
    {"relative_attention_num_buckets", "attention.relative_buckets_count"},
    {"layer_norm_epsilon", "attention.layer_norm_rms_epsilon", kF32},
    {"decoder_start_token_id", "decoder_start_token_id"},
    {"", "general.file_type"},
};

constexpr MetadataRule kEncoderMetadata[] = {
    {"n_positions", "context_length", kU32, kOptional, default_context},
    {"d_model", "embedding_length"},
    {"d_ff", "feed_forward_length"},
    {"num_layers", "block_count"},
    {"num_heads", "attention.head_count"},
    {"d_kv", "attention.key_length"},
    {"d_kv", "attention.value_length"},
    {"layer_norm_epsilon", "attention.layer_norm_epsilon", kF32},
    {"relative_attention_num_buckets", "attention.relative_buckets_count"},
    {"layer_norm_epsilon", "attention.layer_norm_rms_epsilon", kF32},
    {"", "general.file_type"},
};

}  // namespace

extern const Architecture kT5;
constinit const Architecture kT5{.name = "t5",
                                 .hf_names = kT5Names,
                                 .prefixes = {},
                                 .tensors = kTensors,
                                 .metadata = kT5Metadata,
                                 .own_keys = true};

extern const Architecture kT5Encoder;
constinit const Architecture kT5Encoder{.name = "t5encoder",
                                        .hf_names = kEncoderNames,
                                        .prefixes = {},
                                        .tensors = kTensors,
                                        .metadata = kEncoderMetadata,
                                        .own_keys = true};

}  // namespace holdfast::convert
