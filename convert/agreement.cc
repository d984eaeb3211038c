#include "convert/agreement.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>

#include "convert/hyperparameters.h"
#include "convert/text.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

std::string where(std::string_view field) { return "config.json: " + std::string(field); }

// The first of "a|b|c" that the config holds, for messages.
std::string_view present_name(const ModelConfig& config, std::string_view names) {
  for (std::string_view rest = names; !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find('|'));
    if (config.find(name) != nullptr) return name;
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
  }
  return names.substr(0, names.find('|'));
}

// What a type needs of the architecture to be expressed.
enum class Needs : std::uint8_t { Nothing, ScalingKeys, Llama3, LongShort };

struct RopeType {
  std::string_view name;
  Needs needs;
  bool factor = false;  // meaningless without one
};

constexpr std::array kRopeTypes = {
    RopeType{"default", Needs::Nothing},
    // Changes nothing within the trained context, which is all that a file promises.
    RopeType{"dynamic", Needs::Nothing},
    RopeType{"linear", Needs::ScalingKeys, true},
    RopeType{"llama3", Needs::Llama3},  // factors have defaults
    RopeType{"longrope", Needs::LongShort},
    RopeType{"mrope", Needs::Nothing},  // its sections are a key
    RopeType{"su", Needs::LongShort},   // what longrope was called first
    RopeType{"yarn", Needs::ScalingKeys, true},
};

bool is_possible(const RopeType& type, const Architecture& architecture) {
  switch (type.needs) {
    case Needs::Nothing:
      return true;
    case Needs::ScalingKeys:
      // Families with keys of their own write none for it, unless they refine them.
      return !architecture.own_keys || architecture.refine != nullptr;
    case Needs::Llama3:
      return architecture.rope_factors == RopeFactors::Llama3;
    case Needs::LongShort:
      return architecture.rope_factors == RopeFactors::LongShort;
  }
  return false;
}

std::string possible_types(const Architecture& architecture) {
  std::string text;
  for (const RopeType& type : kRopeTypes) {
    if (is_possible(type, architecture))
      text += (text.empty() ? "" : ", ") + std::string(type.name);
  }
  return text;
}

// "rope_scaling.type", as the config itself spells it.
std::string rope_field(const ModelConfig& config, std::string_view layers) {
  const std::string_view outer = present_name(config, "rope_scaling|rope_parameters");
  const Json* inner = config.find(outer);
  if (inner != nullptr && !layers.empty()) inner = inner->find(layers);
  const bool old_name = inner != nullptr && inner->find("rope_type") == nullptr;
  return std::string(outer) + (layers.empty() ? "" : "." + std::string(layers)) +
         (old_name ? ".type" : ".rope_type");
}

void check_rope_type(const Architecture& architecture, const ModelConfig& config,
                     const Json::Object& rope, std::string_view layers) {
  const Json* given = rope.find("rope_type");
  if (given == nullptr || given->is_null()) return;
  const std::string field = where(rope_field(config, layers));
  const std::string& name = given->as_string(field);
  const auto type = std::ranges::find_if(kRopeTypes, [&](const RopeType& known) {
    // Only this one is compared without regard to case by those who wrote it.
    return known.name == "llama3" ? equals_ignoring_case(known.name, name) : known.name == name;
  });
  if (type == kRopeTypes.end() || !is_possible(*type, architecture)) {
    fail(ErrorKind::Unsupported, field + ": expected one of " + possible_types(architecture) +
                                     " for architecture " + std::string(architecture.name) +
                                     ", found \"" + name + "\"");
  }
  const Json* factor = rope.find("factor");
  if (type->factor && (factor == nullptr || factor->is_null())) {
    fail(ErrorKind::Corrupt, field + ": \"" + name + "\" needs a factor beside it, found none");
  }
}

constexpr std::string_view kBlocks = "num_hidden_layers|n_layers|n_layer|num_layers";
constexpr std::string_view kWidth = "hidden_size|n_embd|dim|d_model";
constexpr std::string_view kHeads = "num_attention_heads|n_head|n_heads|num_heads";
constexpr std::string_view kKeyHeads = "num_key_value_heads|n_kv_heads|num_attention_heads|n_head";
constexpr std::string_view kFeedForward = "intermediate_size|n_inner|hidden_dim|ffn_dim|d_ff";
constexpr std::string_view kExpertFeedForward = "moe_intermediate_size|intermediate_size";
constexpr std::string_view kExperts = "num_local_experts|num_experts|n_routed_experts";

// The sizes that a reader of the file computes from its keys.
struct Sizes {
  std::uint64_t width = 0, feed_forward = 0, expert_feed_forward = 0, experts = 0;
  std::uint64_t queries = 0, keys = 0, values = 0, attended = 0;
};

struct ShapeRule {
  std::string_view tensor;  // behind "blk.N."
  std::size_t dimension;    // of ne
  std::uint64_t Sizes::* size;
  std::string_view config;  // who decides it
};

constexpr ShapeRule kShapeRules[] = {
    {"attn_q.weight", 1, &Sizes::queries, kHeads},
    {"attn_k.weight", 1, &Sizes::keys, kKeyHeads},
    {"attn_v.weight", 1, &Sizes::values, kKeyHeads},
    {"attn_output.weight", 0, &Sizes::attended, kHeads},
    {"ffn_down.weight", 0, &Sizes::feed_forward, kFeedForward},
    {"ffn_down_exps.weight", 0, &Sizes::expert_feed_forward, kExpertFeedForward},
    {"ffn_down_exps.weight", 2, &Sizes::experts, kExperts},
};

// 0 where the keys do not say, or differ by layer.
Sizes sizes_of(const Architecture& architecture, const ModelConfig& config) {
  Metadata metadata;
  add_hyperparameters(architecture, config, 0, metadata);
  const auto key = [&](std::string_view name, std::uint64_t otherwise = 0) -> std::uint64_t {
    const MetadataValue* value =
        metadata.find(std::string(architecture.name) + "." + std::string(name));
    if (value == nullptr) return otherwise;
    const auto* number = std::get_if<std::uint32_t>(value);
    return number == nullptr ? 0 : *number;
  };
  Sizes sizes{.width = key("embedding_length"), .feed_forward = key("feed_forward_length")};
  sizes.expert_feed_forward = key("expert_feed_forward_length", sizes.feed_forward);
  sizes.experts = key("expert_count");
  // Latent attention has other matrices, whose heads are checked where they are split.
  if (key("attention.kv_lora_rank") != 0 || key("attention.q_lora_rank") != 0) return sizes;
  const std::uint64_t heads = key("attention.head_count");
  const std::uint64_t key_heads = key("attention.head_count_kv", heads);
  const std::uint64_t even = heads == 0 ? 0 : sizes.width / heads;
  sizes.queries = heads * key("attention.key_length", even);
  sizes.keys = key_heads * key("attention.key_length", even);
  sizes.values = key_heads * key("attention.value_length", even);
  sizes.attended = heads * key("attention.value_length", even);
  return sizes;
}

// "ffn_down.weight" of "blk.3.ffn_down.weight" and of "enc.blk.3.ffn_down.weight"; else nothing.
std::string_view name_in_block(std::string_view name) {
  for (const std::string_view part : {"enc.", "dec."}) {
    if (name.starts_with(part)) name.remove_prefix(part.size());
  }
  if (!name.starts_with("blk.")) return {};
  name.remove_prefix(4);
  return name.substr(std::min(name.find('.'), name.size() - 1) + 1);
}

std::string origin_of(const DraftTensor& draft, const Checkpoint& checkpoint) {
  if (draft.parts.empty()) return draft.name;
  const SourceTensor& source = checkpoint.tensors[draft.parts.front().source];
  return checkpoint.files[source.file] + ": " + source.name + " " + shape_text(source.shape);
}

// `wanted` follows from the config, `there` from the tensor.
[[noreturn]] void fail_size(const ModelConfig& config, std::string_view names, std::uint64_t wanted,
                            std::uint64_t there, const std::string& origin) {
  const std::string_view name = present_name(config, names);
  const std::uint64_t value = config.uint_or(name, wanted);
  const bool direct = value == wanted;
  fail(ErrorKind::Corrupt, where(name) + ": expected " + (direct ? "" : "what makes ") +
                               std::to_string(there) + ", as in " + origin + ", found " +
                               std::to_string(value) +
                               (direct ? "" : ", which makes " + std::to_string(wanted)));
}

void check_blocks(const ModelConfig& config, std::span<const DraftTensor> drafts) {
  std::set<std::string, std::less<>> present;
  for (const DraftTensor& draft : drafts) {
    if (!draft.name.starts_with("blk.")) continue;
    present.emplace(draft.name, 0, draft.name.find('.', 4) + 1);
  }
  const std::uint64_t blocks = config.uint_or(kBlocks, 0);
  for (std::uint64_t i = 0; !present.empty() && i < blocks; ++i) {
    if (present.contains("blk." + std::to_string(i) + ".")) continue;
    fail(ErrorKind::Corrupt, where(present_name(config, kBlocks)) + ": expected tensors of " +
                                 std::to_string(blocks) + " blocks, found none of block " +
                                 std::to_string(i));
  }
}

// By the rows of the source, unless the output leaves out those that no token has.
void check_vocabulary(const ModelConfig& config, const Checkpoint& checkpoint,
                      const DraftTensor& embedding) {
  const std::uint64_t vocabulary = config.uint_or("vocab_size", 0);
  if (vocabulary == 0 || embedding.parts.empty()) return;
  const SourceTensor& source = checkpoint.tensors[embedding.parts.front().source];
  const bool whole = embedding.ne.back() == source.shape.front();
  if (source.shape.size() != 2 || !whole || source.shape.front() == vocabulary) return;
  fail_size(config, "vocab_size", vocabulary, source.shape.front(),
            origin_of(embedding, checkpoint));
}

}  // namespace

void check_rope_scaling(const Architecture& architecture, const ModelConfig& config) {
  const bool by_layer = config.rope().find("full_attention") != nullptr;
  check_rope_type(architecture, config, config.full_rope(), by_layer ? "full_attention" : "");
  const Json* sliding = config.rope().find("sliding_attention");
  if (sliding != nullptr && sliding->is_object()) {
    check_rope_type(architecture, config, sliding->as_object(), "sliding_attention");
  }
}

void check_agreement(const Architecture& architecture, const ModelConfig& config,
                     const Checkpoint& checkpoint, std::span<const DraftTensor> drafts) {
  check_blocks(config, drafts);
  const Sizes sizes = sizes_of(architecture, config);
  for (const DraftTensor& draft : drafts) {
    if (draft.name == "token_embd.weight") {
      check_vocabulary(config, checkpoint, draft);
      if (sizes.width != 0 && draft.ne.front() != sizes.width) {
        fail_size(config, kWidth, sizes.width, draft.ne.front(), origin_of(draft, checkpoint));
      }
    }
    const std::string_view name = name_in_block(draft.name);
    for (const ShapeRule& rule : kShapeRules) {
      const std::uint64_t expected = sizes.*rule.size;
      if (name != rule.tensor || expected == 0 || draft.ne.size() <= rule.dimension) continue;
      if (draft.ne[rule.dimension] == expected) continue;
      fail_size(config, rule.config, expected, draft.ne[rule.dimension],
                origin_of(draft, checkpoint));
    }
  }
}

}  // namespace holdfast::convert
