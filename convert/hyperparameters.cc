#include "convert/hyperparameters.h"

#include <array>
#include <string>

#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;

constexpr MetadataRule kShape[] = {
    {"max_position_embeddings|n_ctx|n_positions|max_length|max_sequence_length|model_max_length",
     "context_length", kU32, kOptional},
    {"hidden_size|n_embd|dim", "embedding_length", kU32, kOptional},
    {"prefix_dense_intermediate_size|dense_intermediate_size|intermediate_size|n_inner|hidden_dim",
     "feed_forward_length", kU32, kOptional},
    {"num_attention_heads|n_head|n_heads", "attention.head_count", kU32, kOptional},
    {"num_key_value_heads|n_kv_heads", "attention.head_count_kv", kU32, kOptional},
};

constexpr MetadataRule kNormsAndExperts[] = {
    {"rms_norm_eps|norm_eps", "attention.layer_norm_rms_epsilon", kF32, kOptional},
    {"layer_norm_eps|layer_norm_epsilon|norm_epsilon", "attention.layer_norm_epsilon", kF32,
     kOptional},
    {"num_local_experts|num_experts|n_routed_experts", "expert_count", kU32, kOptional},
    {"num_experts_per_tok|num_experts_per_token|top_k_experts", "expert_used_count", kU32,
     kOptional},
    {"n_group", "expert_group_count", kU32, kOptional},
    {"topk_group", "expert_group_used_count", kU32, kOptional},
};

constexpr MetadataRule kHeadSize[] = {
    {"head_dim", "attention.key_length", kU32, kOptional},
    {"head_dim", "attention.value_length", kU32, kOptional},
};

// llama_expert_gating_func_type of llama.cpp.
constexpr std::array<std::pair<std::string_view, std::uint32_t>, 3> kGating = {
    {{"softmax", 1}, {"sigmoid", 2}, {"sqrtsoftplus", 4}}};

constexpr std::string_view kFileType = "general.file_type";

std::string where(std::string_view names) { return "config.json: " + std::string(names); }

MetadataValue to_value(const Json& field, ValueType type, std::string_view names) {
  switch (type) {
    case ValueType::U32:
      return to_u32(field.as_uint(where(names)), names);
    case ValueType::F32:
      return static_cast<float>(field.as_double(where(names)));
    case ValueType::Bool:
      return field.as_bool(where(names));
    case ValueType::String:
      return field.as_string(where(names));
  }
  fail(ErrorKind::Invalid, "unknown value type");
}

class Builder {
 public:
  Builder(const Architecture& architecture, const ModelConfig& config, Metadata& metadata)
      : prefix_(std::string(architecture.name) + "."), config_(config), metadata_(metadata) {}

  void set(std::string_view key, MetadataValue value) {
    const bool is_whole = key.starts_with("general.") || key.starts_with("tokenizer.");
    metadata_.set(is_whole ? std::string(key) : prefix_ + std::string(key), std::move(value));
  }

  void apply(std::span<const MetadataRule> rules) {
    for (const MetadataRule& rule : rules) apply(rule);
  }

  void causality() {
    const Json* causal = config_.find("is_causal");
    if (causal != nullptr && causal->is_bool() && !causal->as_bool())
      set("attention.causal", false);
  }

  void rope() {
    const Json::Object& rope = config_.full_rope();
    const Json* type = rope.find("rope_type");
    if (type != nullptr && !type->is_null())
      scaling(type->as_string(where("rope_scaling.rope_type")), rope);
    sections();
    number(rope, "rope_theta", "rope.freq_base");
    const Json* sliding = config_.rope().find("sliding_attention");
    if (sliding != nullptr && sliding->is_object()) {
      number(sliding->as_object(), "rope_theta", "rope.freq_base_swa");
    }
  }

  void gating() {
    const Json* name = config_.find(
        "score_function|scoring_func|score_func|moe_router_activation|moe_router_activation_func|"
        "expert_selection_fn");
    if (name == nullptr) return;
    const std::string& text = name->as_string(where("scoring_func"));
    for (const auto& [known, id] : kGating) {
      if (known == text) return set("expert_gating_func", id);
    }
    fail(ErrorKind::Unsupported,
         where("scoring_func") + ": unknown gating function \"" + text + "\"");
  }

 private:
  void apply(const MetadataRule& rule) {
    if (const Json* field = rule.config.empty() ? nullptr : config_.find(rule.config)) {
      set(rule.key, to_value(*field, rule.type, rule.config));
    } else if (rule.otherwise != nullptr) {
      if (auto value = rule.otherwise(config_)) set(rule.key, std::move(*value));
    } else if (rule.need == Need::Required) {
      fail(ErrorKind::Corrupt, where(rule.config) + ": missing");
    }
  }

  // Copies a number of `fields` when it is there.
  void number(const Json::Object& fields, std::string_view name, std::string_view key) {
    const Json* field = fields.find(name);
    if (field == nullptr || field->is_null()) return;
    set(key, to_value(*field, ValueType::F32, "rope_scaling." + std::string(name)));
  }

  void scaling(const std::string& type, const Json::Object& rope) {
    const Json* factor = rope.find("factor");
    const bool has_factor = factor != nullptr && !factor->is_null();
    if (type == "longrope" || type == "su")
      return set("rope.scaling.type", std::string("longrope"));
    if (!has_factor || (type != "linear" && type != "yarn")) return;
    set("rope.scaling.type", type);
    number(rope, "factor", "rope.scaling.factor");
    if (type != "yarn") return;
    const Json* context = rope.find("original_max_position_embeddings");
    if (context == nullptr || context->is_null()) {
      fail(ErrorKind::Corrupt,
           where("rope_scaling.original_max_position_embeddings") + ": missing");
    }
    set("rope.scaling.original_context_length",
        to_value(*context, ValueType::U32, "rope_scaling.original_max_position_embeddings"));
    number(rope, "extrapolation_factor", "rope.scaling.yarn_ext_factor");
    const bool long_name = rope.find("attention_factor") != nullptr;
    number(rope, long_name ? "attention_factor" : "attn_factor", "rope.scaling.yarn_attn_factor");
    number(rope, "beta_fast", "rope.scaling.yarn_beta_fast");
    number(rope, "beta_slow", "rope.scaling.yarn_beta_slow");
  }

  // Multimodal rotary sections: time, height, width, and one that is unused.
  void sections() {
    const Json* given = config_.rope().find("mrope_section");
    if (given == nullptr || given->is_null()) return;
    std::vector<std::int32_t> sections;
    for (const Json& part : given->as_array(where("rope_scaling.mrope_section"))) {
      sections.push_back(
          static_cast<std::int32_t>(part.as_int(where("rope_scaling.mrope_section"))));
    }
    sections.resize(4);
    set("rope.dimension_sections", std::move(sections));
  }

  std::string prefix_;
  const ModelConfig& config_;
  Metadata& metadata_;
};

}  // namespace

void add_early_hyperparameters(const Architecture& architecture, const ModelConfig& config,
                               Metadata& metadata) {
  Builder(architecture, config, metadata).apply(architecture.early_metadata);
}

void add_hyperparameters(const Architecture& architecture, const ModelConfig& config,
                         std::uint32_t file_type, Metadata& metadata) {
  Builder builder(architecture, config, metadata);
  // Families with keys of their own say where this one stands.
  if (architecture.own_keys) {
    for (const MetadataRule& rule : architecture.metadata) {
      if (rule.key == kFileType) {
        builder.set(kFileType, file_type);
      } else {
        builder.apply({&rule, 1});
      }
    }
  } else {
    builder.set("block_count", to_u32(block_count(architecture, config), "num_hidden_layers"));
    builder.apply(kShape);
    builder.causality();
    builder.rope();
    builder.apply(kNormsAndExperts);
    builder.gating();
    builder.apply(kHeadSize);
    builder.set(kFileType, file_type);
    builder.apply(architecture.metadata);
  }
  if (architecture.refine != nullptr) architecture.refine(config, metadata);
}

}  // namespace holdfast::convert
