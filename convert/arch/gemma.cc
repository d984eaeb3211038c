// Gemma 1 to 3, text, and EmbeddingGemma. The checkpoint's norms leave out the 1 that is added to
// their weights; the output matrix is the embedding.
#include "convert/arch/usual.h"
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr Need kRequired = Need::Required;
constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;

constexpr std::string_view kGemmaNames[] = {"GemmaForCausalLM"};
constexpr std::string_view kGemma2Names[] = {"Gemma2ForCausalLM"};
constexpr std::string_view kGemma3Names[] = {"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"};

constexpr std::string_view kEmbeddingNames[] = {"Gemma3TextModel"};

// lm_head is left out: where a tool wrote one, it repeats the embedding.
constexpr TensorRule kGemmaTensors[] = {
    {"lm_head.weight", "", TensorOp::Drop},
    {"norm.weight", "output_norm.weight", TensorOp::AddOne},
    {"layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", TensorOp::AddOne},
    {"layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", TensorOp::AddOne},
};

// From Gemma 2 on there are norms in front of and behind both halves of a layer.
constexpr TensorRule kGemma2Tensors[] = {
    {"lm_head.weight", "", TensorOp::Drop},
    {"norm.weight", "output_norm.weight", TensorOp::AddOne},
    {"layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", TensorOp::AddOne},
    {"layers.{}.post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight",
     TensorOp::AddOne},
    {"layers.{}.pre_feedforward_layernorm.weight", "blk.{}.ffn_norm.weight", TensorOp::AddOne},
    {"layers.{}.post_feedforward_layernorm.weight", "blk.{}.post_ffw_norm.weight",
     TensorOp::AddOne},
};

constexpr TensorRule kGemma3Tensors[] = {
    {"lm_head.weight", "", TensorOp::Drop},
    {"embed_tokens.weight", "token_embd.weight", TensorOp::Vocabulary},
    {"norm.weight", "output_norm.weight", TensorOp::AddOne},
    {"layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", TensorOp::AddOne},
    {"layers.{}.post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight",
     TensorOp::AddOne},
    {"layers.{}.pre_feedforward_layernorm.weight", "blk.{}.ffn_norm.weight", TensorOp::AddOne},
    {"layers.{}.post_feedforward_layernorm.weight", "blk.{}.post_ffw_norm.weight",
     TensorOp::AddOne},
    {"layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight", TensorOp::AddOne},
    {"layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight", TensorOp::AddOne},
};

// Gemma 1 and 2: the shared keys in an order of their own, without rope.freq_base.
constexpr MetadataRule kGemma2Metadata[] = {
    {"max_position_embeddings", "context_length"},
    {"hidden_size", "embedding_length"},
    {"num_hidden_layers", "block_count"},
    {"intermediate_size", "feed_forward_length"},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads|num_attention_heads", "attention.head_count_kv"},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", kF32},
    {"head_dim", "attention.key_length"},
    {"head_dim", "attention.value_length"},
    {"", "general.file_type"},
    {"attn_logit_softcapping", "attn_logit_softcapping", kF32, kRequired},
    {"final_logit_softcapping", "final_logit_softcapping", kF32, kRequired},
    {"sliding_window", "attention.sliding_window"},
};
constexpr auto kGemmaMetadata = std::span(kGemma2Metadata).first<10>();

// What transformers assumes where a config.json of Gemma 3 says nothing.
template <std::uint32_t kValue>
std::optional<MetadataValue> constant(const ModelConfig&) {
  return kValue;
}

std::optional<MetadataValue> default_epsilon(const ModelConfig&) { return 1e-6F; }

std::optional<MetadataValue> rope_base(const ModelConfig& config) {
  const Json* base = config.full_rope().find("rope_theta");
  if (base == nullptr || base->is_null()) return 1'000'000.0F;
  return static_cast<float>(base->as_double("config.json: rope_theta"));
}

std::optional<MetadataValue> final_softcap(const ModelConfig& config) {
  const double cap = config.number_or("final_logit_softcapping", 0);
  if (cap == 0) return std::nullopt;
  return static_cast<float>(cap);
}

std::optional<MetadataValue> sliding_window(const ModelConfig& config) {
  if (config.uint_or("sliding_window_pattern", 0) == 1) return std::nullopt;
  return to_u32(config.uint("sliding_window"), "sliding_window");
}

constexpr MetadataRule kGemma3Metadata[] = {
    {"max_position_embeddings", "context_length", kU32, kOptional, constant<131072>},
    {"num_attention_heads", "attention.head_count", kU32, kOptional, constant<8>},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", kF32, kOptional, default_epsilon},
    {"head_dim", "attention.key_length", kU32, kOptional, constant<256>},
    {"head_dim", "attention.value_length", kU32, kOptional, constant<256>},
    {"", "rope.freq_base", kF32, kOptional, rope_base},
    {"", "final_logit_softcapping", kF32, kOptional, final_softcap},
    {"", "attention.sliding_window", kU32, kOptional, sliding_window},
    {"num_key_value_heads", "attention.head_count_kv", kU32, kOptional, constant<4>},
};

// EmbeddingGemma writes its window as the config states it, and how tokens are pooled.
constexpr MetadataRule kEmbeddingMetadata[] = {
    {"max_position_embeddings", "context_length", kU32, kOptional, constant<131072>},
    {"num_attention_heads", "attention.head_count", kU32, kOptional, constant<8>},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", kF32, kOptional, default_epsilon},
    {"head_dim", "attention.key_length", kU32, kOptional, constant<256>},
    {"head_dim", "attention.value_length", kU32, kOptional, constant<256>},
    {"", "rope.freq_base", kF32, kOptional, rope_base},
    {"", "final_logit_softcapping", kF32, kOptional, final_softcap},
    {"sliding_window", "attention.sliding_window"},
    {"num_key_value_heads", "attention.head_count_kv", kU32, kOptional, constant<4>},
    {"", "pooling_type", kU32, kOptional, pooling_type},
};

}  // namespace

extern const Architecture kGemma;
constinit const Architecture kGemma{.name = "gemma",
                                    .hf_names = kGemmaNames,
                                    .tensors = kGemmaTensors,
                                    .shared_tensors = kUsualDecoder,
                                    .metadata = kGemmaMetadata,
                                    .own_keys = true};

extern const Architecture kGemma2;
constinit const Architecture kGemma2{.name = "gemma2",
                                     .hf_names = kGemma2Names,
                                     .tensors = kGemma2Tensors,
                                     .shared_tensors = kUsualDecoder,
                                     .metadata = kGemma2Metadata,
                                     .own_keys = true};

extern const Architecture kGemma3;
constinit const Architecture kGemma3{.name = "gemma3",
                                     .hf_names = kGemma3Names,
                                     .tensors = kGemma3Tensors,
                                     .shared_tensors = kUsualDecoder,
                                     .left_out = kOtherModalities,
                                     .metadata = kGemma3Metadata};

extern const Architecture kGemmaEmbedding;
constinit const Architecture kGemmaEmbedding{.name = "gemma-embedding",
                                             .hf_names = kEmbeddingNames,
                                             .tensors = kGemma3Tensors,
                                             .shared_tensors = kUsualDecoder,
                                             .metadata = kEmbeddingMetadata};

}  // namespace holdfast::convert
