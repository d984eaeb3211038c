// Cohere's Command-R, and Command-R7B (Cohere 2): one norm per layer, tied output.
#include "convert/arch/usual.h"
#include "convert/architecture.h"

namespace holdfast::convert {
namespace {

constexpr Need kOptional = Need::Optional;
constexpr ValueType kU32 = ValueType::U32;
constexpr ValueType kF32 = ValueType::F32;
constexpr ValueType kString = ValueType::String;

constexpr std::string_view kCommandRNames[] = {"CohereForCausalLM"};
constexpr std::string_view kCohere2Names[] = {"Cohere2ForCausalLM"};

// Command-R was trained for a longer context than max_position_embeddings says.
constexpr MetadataRule kCommandRMetadata[] = {
    {"model_max_length|max_position_embeddings", "context_length"},
    {"logit_scale", "logit_scale", kF32},
    {"", "rope.scaling.type", kString, kOptional, rope_scaling_none},
};

std::optional<MetadataValue> rotary_size(const ModelConfig& config) {
  const auto size = static_cast<double>(to_u32(head_size(config), "hidden_size"));
  return static_cast<std::uint32_t>(config.number_or("rotary_pct", 1.0) * size);
}

constexpr MetadataRule kCohere2Metadata[] = {
    {"logit_scale", "logit_scale", kF32},
    {"sliding_window", "attention.sliding_window"},
    {"vocab_size", "vocab_size"},
    {"", "rope.dimension_count", kU32, kOptional, rotary_size},
    {"", "rope.scaling.type", kString, kOptional, rope_scaling_none},
};

}  // namespace

extern const Architecture kCommandR;
constinit const Architecture kCommandR{.name = "command-r",
                                       .hf_names = kCommandRNames,
                                       .shared_tensors = kUsualDecoder,
                                       .metadata = kCommandRMetadata};

extern const Architecture kCohere2;
constinit const Architecture kCohere2{.name = "cohere2",
                                      .hf_names = kCohere2Names,
                                      .shared_tensors = kUsualDecoder,
                                      .metadata = kCohere2Metadata};

}  // namespace holdfast::convert
