// Encoders for embeddings: BERT, RoBERTa, XLM-R and DistilBERT, Nomic-BERT, Jina's BERTs and
// ModernBERT. What predicts masked words stays behind; what classifies comes along.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "convert/architecture.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;
constexpr ValueType kBool = ValueType::Bool;
constexpr ValueType kString = ValueType::String;

constexpr std::string_view kBertNames[] = {"BertModel", "BertForMaskedLM", "CamembertModel",
                                           "BertForSequenceClassification"};
constexpr std::string_view kDistilBertNames[] = {"DistilBertModel", "DistilBertForMaskedLM",
                                                 "DistilBertForSequenceClassification"};
constexpr std::string_view kRobertaNames[] = {"RobertaModel", "RobertaForSequenceClassification",
                                              "XLMRobertaModel",
                                              "XLMRobertaForSequenceClassification"};
constexpr std::string_view kNomicNames[] = {"NomicBertModel"};
constexpr std::string_view kJina2Names[] = {"JinaBertModel", "JinaBertForMaskedLM"};
constexpr std::string_view kJina3Names[] = {"XLMRobertaModel"};
constexpr std::string_view kModernNames[] = {"ModernBertModel", "ModernBertForMaskedLM"};
constexpr std::string_view kModernClassifierNames[] = {"ModernBertForSequenceClassification"};

constexpr std::string_view kPrefixes[] = {"bert.", "roberta.", "distilbert.", "model."};

// Predictions of words and sentence order, the pooling layer that embeddings do not use, and
// buffers.
constexpr std::string_view kHeads[] = {
    "cls.predictions",  "cls.seq_relationship", "lm_head.",         "pooler.dense.",
    "vocab_transform.", "vocab_layer_norm.",    "vocab_projector.", "embeddings.position_ids"};

constexpr std::string_view kModernHeads[] = {"head.", "decoder."};

constexpr TensorRule kBertTensors[] = {
    {"embeddings.word_embeddings.weight", "token_embd.weight"},
    {"embeddings.position_embeddings.weight", "position_embd.weight"},
    {"embeddings.token_type_embeddings.weight", "token_types.weight"},
    {"embeddings.LayerNorm.{}", "token_embd_norm.{}"},
    {"embeddings.LayerNorm.gamma", "token_embd_norm.weight"},
    {"embeddings.LayerNorm.beta", "token_embd_norm.bias"},
    {"encoder.layer.{}.attention.self.query.{}", "blk.{}.attn_q.{}"},
    {"encoder.layer.{}.attention.self.key.{}", "blk.{}.attn_k.{}"},
    {"encoder.layer.{}.attention.self.value.{}", "blk.{}.attn_v.{}"},
    {"encoder.layer.{}.attention.output.dense.{}", "blk.{}.attn_output.{}"},
    {"encoder.layer.{}.attention.output.LayerNorm.{}", "blk.{}.attn_output_norm.{}"},
    {"encoder.layer.{}.attention.output.LayerNorm.gamma", "blk.{}.attn_output_norm.weight"},
    {"encoder.layer.{}.attention.output.LayerNorm.beta", "blk.{}.attn_output_norm.bias"},
    {"encoder.layer.{}.intermediate.dense.{}", "blk.{}.ffn_up.{}"},
    {"encoder.layer.{}.output.dense.{}", "blk.{}.ffn_down.{}"},
    {"encoder.layer.{}.output.LayerNorm.{}", "blk.{}.layer_output_norm.{}"},
    {"encoder.layer.{}.output.LayerNorm.gamma", "blk.{}.layer_output_norm.weight"},
    {"encoder.layer.{}.output.LayerNorm.beta", "blk.{}.layer_output_norm.bias"},
    {"classifier.dense.{}", "cls.{}"},
    {"classifier.out_proj.{}", "cls.output.{}"},
    {"classifier.{}", "cls.output.{}"},
};

constexpr TensorRule kDistilBertTensors[] = {
    {"transformer.layer.{}.attention.q_lin.{}", "blk.{}.attn_q.{}"},
    {"transformer.layer.{}.attention.k_lin.{}", "blk.{}.attn_k.{}"},
    {"transformer.layer.{}.attention.v_lin.{}", "blk.{}.attn_v.{}"},
    {"transformer.layer.{}.attention.out_lin.{}", "blk.{}.attn_output.{}"},
    {"transformer.layer.{}.sa_layer_norm.{}", "blk.{}.attn_output_norm.{}"},
    {"transformer.layer.{}.ffn.lin1.{}", "blk.{}.ffn_up.{}"},
    {"transformer.layer.{}.ffn.lin2.{}", "blk.{}.ffn_down.{}"},
    {"transformer.layer.{}.output_layer_norm.{}", "blk.{}.layer_output_norm.{}"},
    {"pre_classifier.{}", "cls.{}"},
};

constexpr TensorRule kRobertaTensors[] = {
    {"embeddings.position_embeddings.weight", "position_embd.weight", TensorOp::Positions},
};

constexpr TensorRule kNomicTensors[] = {
    {"emb_ln.{}", "token_embd_norm.{}"},
    {"encoder.layers.{}.attn.Wqkv.{}", "blk.{}.attn_qkv.{}"},
    {"encoder.layers.{}.attn.out_proj.{}", "blk.{}.attn_output.{}"},
    {"encoder.layers.{}.norm1.{}", "blk.{}.attn_output_norm.{}"},
    {"encoder.layers.{}.norm2.{}", "blk.{}.layer_output_norm.{}"},
    {"encoder.layers.{}.mlp.fc11.{}", "blk.{}.ffn_up.{}"},
    {"encoder.layers.{}.mlp.fc12.{}", "blk.{}.ffn_gate.{}"},
    {"encoder.layers.{}.mlp.fc1.{}", "blk.{}.ffn_up.{}"},
    {"encoder.layers.{}.mlp.fc2.{}", "blk.{}.ffn_down.{}"},
};

constexpr TensorRule kJina2Tensors[] = {
    {"encoder.layer.{}.attention.self.layer_norm_q.{}", "blk.{}.attn_q_norm.{}"},
    {"encoder.layer.{}.attention.self.layer_norm_k.{}", "blk.{}.attn_k_norm.{}"},
    {"encoder.layer.{}.layer_norm_1.{}", "blk.{}.attn_norm_2.{}"},
    {"encoder.layer.{}.layer_norm_2.{}", "blk.{}.layer_output_norm.{}"},
    {"encoder.layer.{}.mlp.layernorm.{}", "blk.{}.layer_output_norm.{}"},
    {"encoder.layer.{}.mlp.gated_layers.{}", "blk.{}.ffn_up.{}"},
    {"encoder.layer.{}.mlp.up_gated_layer.{}", "blk.{}.ffn_up.{}"},
    {"encoder.layer.{}.mlp.gated_layers_v.{}", "blk.{}.ffn_up.{}"},
    {"encoder.layer.{}.mlp.gated_layers_w.{}", "blk.{}.ffn_gate.{}"},
    {"encoder.layer.{}.mlp.wo.{}", "blk.{}.ffn_down.{}"},
    {"encoder.layer.{}.mlp.down_layer.{}", "blk.{}.ffn_down.{}"},
};

// Its matrices are what adapters for tasks start from; the adapters stay behind.
constexpr TensorRule kJina3Tensors[] = {
    {"emb_ln.{}", "token_embd_norm.{}"},
    {"embeddings.word_embeddings.parametrizations.weight.original", "token_embd.weight"},
    {"embeddings.word_embeddings.parametrizations.weight.{}.lora_A", "", TensorOp::Drop},
    {"embeddings.word_embeddings.parametrizations.weight.{}.lora_B", "", TensorOp::Drop},
    {"embeddings.token_type_embeddings.parametrizations.weight.original", "token_types.weight"},
    {"embeddings.token_type_embeddings.parametrizations.weight.{}.lora_A", "", TensorOp::Drop},
    {"embeddings.token_type_embeddings.parametrizations.weight.{}.lora_B", "", TensorOp::Drop},
    {"encoder.layers.{}.mixer.Wqkv.bias", "blk.{}.attn_qkv.bias"},
    {"encoder.layers.{}.mixer.Wqkv.parametrizations.weight.original", "blk.{}.attn_qkv.weight"},
    {"encoder.layers.{}.mixer.Wqkv.parametrizations.weight.{}.lora_A", "", TensorOp::Drop},
    {"encoder.layers.{}.mixer.Wqkv.parametrizations.weight.{}.lora_B", "", TensorOp::Drop},
    {"encoder.layers.{}.mixer.out_proj.bias", "blk.{}.attn_output.bias"},
    {"encoder.layers.{}.mixer.out_proj.parametrizations.weight.original",
     "blk.{}.attn_output.weight"},
    {"encoder.layers.{}.mixer.out_proj.parametrizations.weight.{}.lora_A", "", TensorOp::Drop},
    {"encoder.layers.{}.mixer.out_proj.parametrizations.weight.{}.lora_B", "", TensorOp::Drop},
    {"encoder.layers.{}.norm1.{}", "blk.{}.attn_output_norm.{}"},
    {"encoder.layers.{}.norm2.{}", "blk.{}.layer_output_norm.{}"},
    {"encoder.layers.{}.mlp.fc1.bias", "blk.{}.ffn_up.bias"},
    {"encoder.layers.{}.mlp.fc1.parametrizations.weight.original", "blk.{}.ffn_up.weight"},
    {"encoder.layers.{}.mlp.fc1.parametrizations.weight.{}.lora_A", "", TensorOp::Drop},
    {"encoder.layers.{}.mlp.fc1.parametrizations.weight.{}.lora_B", "", TensorOp::Drop},
    {"encoder.layers.{}.mlp.fc2.bias", "blk.{}.ffn_down.bias"},
    {"encoder.layers.{}.mlp.fc2.parametrizations.weight.original", "blk.{}.ffn_down.weight"},
    {"encoder.layers.{}.mlp.fc2.parametrizations.weight.{}.lora_A", "", TensorOp::Drop},
    {"encoder.layers.{}.mlp.fc2.parametrizations.weight.{}.lora_B", "", TensorOp::Drop},
};

constexpr TensorRule kModernTensors[] = {
    {"embeddings.tok_embeddings.weight", "token_embd.weight"},
    {"embeddings.norm.{}", "token_embd_norm.{}"},
    {"final_norm.{}", "output_norm.{}"},
    {"layers.{}.attn_norm.{}", "blk.{}.attn_norm.{}"},
    {"layers.{}.attn.Wqkv.{}", "blk.{}.attn_qkv.{}"},
    {"layers.{}.attn.Wo.{}", "blk.{}.attn_output.{}"},
    {"layers.{}.mlp_norm.{}", "blk.{}.ffn_norm.{}"},
    {"layers.{}.mlp.Wi.{}", "blk.{}.ffn_up.{}"},
    {"layers.{}.mlp.Wo.{}", "blk.{}.ffn_down.{}"},
};

constexpr TensorRule kModernClassifierTensors[] = {
    {"head.dense.{}", "cls.{}"},
    {"head.norm.{}", "cls.norm.{}"},
    {"classifier.{}", "cls.output.{}"},
};

// id2label in the order of its ids. Two of them that start with LABEL_0 are transformers' filler.
std::optional<MetadataValue> classifier_labels(const ModelConfig& config) {
  const Json* given = config.find("id2label");
  if (given == nullptr) return std::nullopt;
  const std::string_view where = "config.json: id2label";
  std::vector<std::pair<std::uint64_t, std::string>> by_id;
  for (const auto& [id, label] : given->as_object(where)) {
    if (id.empty() || id.size() > 9 || id.find_first_not_of("0123456789") != id.npos) {
      fail(ErrorKind::Corrupt, std::string(where) + ": expected numbers, found \"" + id + "\"");
    }
    by_id.emplace_back(std::stoull(id), label.as_string(where));
  }
  std::ranges::sort(by_id);
  if (by_id.size() == 2 && by_id.front().second == "LABEL_0") return std::nullopt;
  std::vector<std::string> labels;
  labels.reserve(by_id.size());
  for (auto& [id, label] : by_id) labels.push_back(std::move(label));
  return labels;
}

constexpr MetadataRule kBertMetadata[] = {
    {"", "attention.causal", kBool, kOptional, not_causal},
    {"", "pooling_type", kU32, kOptional, pooling_type},
    {"", "classifier.output_labels", kString, kOptional, classifier_labels},
};

std::optional<MetadataValue> distilbert_epsilon(const ModelConfig&) { return 1e-12F; }

// DistilBERT's own names of the shared keys.
constexpr MetadataRule kDistilBertMetadata[] = {
    {"", "attention.layer_norm_epsilon", kF32, kOptional, distilbert_epsilon},
    {"n_layers", "block_count"},
    {"max_position_embeddings", "context_length"},
    {"dim", "embedding_length"},
    {"hidden_dim", "feed_forward_length"},
    {"n_heads", "attention.head_count"},
    {"", "general.file_type"},
    {"", "attention.causal", kBool, kOptional, not_causal},
    {"", "pooling_type", kU32, kOptional, pooling_type},
    {"", "classifier.output_labels", kString, kOptional, classifier_labels},
};

// RoBERTa's position table starts with rows for padding.
std::optional<MetadataValue> real_positions(const ModelConfig& config) {
  const std::uint64_t rows = config.uint("max_position_embeddings");
  const Json* padding = config.find("pad_token_id");
  if (padding == nullptr) return to_u32(rows, "max_position_embeddings");
  const std::uint64_t skipped = padding->as_uint("config.json: pad_token_id") + 1;
  return to_u32(rows - std::min(rows, skipped), "max_position_embeddings");
}

constexpr MetadataRule kRobertaMetadata[] = {
    {"", "context_length", kU32, kOptional, real_positions},
    {"", "attention.causal", kBool, kOptional, not_causal},
    {"", "pooling_type", kU32, kOptional, pooling_type},
    {"", "classifier.output_labels", kString, kOptional, classifier_labels},
};

bool has_lora_adaptations(const ModelConfig& config) {
  return config.find("lora_adaptations") != nullptr;
}

// Nomic's configs state a longer context than the models were trained for.
std::optional<MetadataValue> trained_context(const ModelConfig& config) {
  const std::uint64_t positions = config.uint("n_positions");
  const std::uint64_t trained = config.uint_or("max_trained_positions", 2048);
  if (trained == 2048 && positions == 8192) return std::uint32_t{2048};
  if (trained == 2048 && positions == 2048) return std::uint32_t{512};
  fail(ErrorKind::Unsupported,
       "config.json: n_positions: expected 8192 or 2048 with max_trained_positions 2048, found " +
           std::to_string(positions) + " with " + std::to_string(trained));
}

bool is_dense_nomic(const ModelConfig& config) {
  return config.uint_or("moe_every_n_layers", 0) == 0;
}

constexpr MetadataRule kNomicMetadata[] = {
    {"", "context_length", kU32, kOptional, trained_context},
    {"", "attention.causal", kBool, kOptional, not_causal},
    {"", "pooling_type", kU32, kOptional, pooling_type},
};

constexpr MetadataRule kModernMetadata[] = {
    {"", "attention.causal", kBool, kOptional, not_causal},
    {"", "pooling_type", kU32, kOptional, pooling_type},
    {"", "classifier.output_labels", kString, kOptional, classifier_labels},
    {"local_attention", "attention.sliding_window"},
    {"global_attn_every_n_layers", "attention.sliding_window_pattern", kU32, kOptional},
    {"", "rope.scaling.type", kString, kOptional, rope_scaling_none},
    {"vocab_size", "vocab_size"},
    {"hidden_activation", "hidden_activation", kString, kOptional},
};

}  // namespace

extern const Architecture kBert;
constinit const Architecture kBert{.name = "bert",
                                   .hf_names = kBertNames,
                                   .prefixes = kPrefixes,
                                   .shared_tensors = kBertTensors,
                                   .left_out = kHeads,
                                   .metadata = kBertMetadata,
                                   .vocabulary = VocabularyKind::WordPiece};

extern const Architecture kDistilBert;
constinit const Architecture kDistilBert{.name = "bert",
                                         .hf_names = kDistilBertNames,
                                         .prefixes = kPrefixes,
                                         .tensors = kDistilBertTensors,
                                         .shared_tensors = kBertTensors,
                                         .left_out = kHeads,
                                         .metadata = kDistilBertMetadata,
                                         .own_keys = true,
                                         .vocabulary = VocabularyKind::WordPiece};

// In front of RoBERTa, whose class it shares.
extern const Architecture kJinaBert3;
constinit const Architecture kJinaBert3{.name = "jina-bert-v3",
                                        .hf_names = kJina3Names,
                                        .applies = has_lora_adaptations,
                                        .prefixes = kPrefixes,
                                        .tensors = kJina3Tensors,
                                        .shared_tensors = kBertTensors,
                                        .left_out = kHeads,
                                        .metadata = kRobertaMetadata};

extern const Architecture kRoberta;
constinit const Architecture kRoberta{.name = "bert",
                                      .hf_names = kRobertaNames,
                                      .prefixes = kPrefixes,
                                      .tensors = kRobertaTensors,
                                      .shared_tensors = kBertTensors,
                                      .left_out = kHeads,
                                      .metadata = kRobertaMetadata};

extern const Architecture kNomicBert;
constinit const Architecture kNomicBert{.name = "nomic-bert",
                                        .hf_names = kNomicNames,
                                        .applies = is_dense_nomic,
                                        .prefixes = kPrefixes,
                                        .tensors = kNomicTensors,
                                        .shared_tensors = kBertTensors,
                                        .left_out = kHeads,
                                        .metadata = kNomicMetadata};

extern const Architecture kJinaBert2;
constinit const Architecture kJinaBert2{.name = "jina-bert-v2",
                                        .hf_names = kJina2Names,
                                        .prefixes = kPrefixes,
                                        .tensors = kJina2Tensors,
                                        .shared_tensors = kBertTensors,
                                        .left_out = kHeads,
                                        .metadata = kBertMetadata};

extern const Architecture kModernBert;
constinit const Architecture kModernBert{.name = "modern-bert",
                                         .hf_names = kModernNames,
                                         .prefixes = kPrefixes,
                                         .shared_tensors = kModernTensors,
                                         .left_out = kModernHeads,
                                         .metadata = kModernMetadata};

extern const Architecture kModernBertClassifier;
constinit const Architecture kModernBertClassifier{.name = "modern-bert",
                                                   .hf_names = kModernClassifierNames,
                                                   .prefixes = kPrefixes,
                                                   .tensors = kModernClassifierTensors,
                                                   .shared_tensors = kModernTensors,
                                                   .metadata = kModernMetadata};

}  // namespace holdfast::convert
