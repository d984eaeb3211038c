#include "convert/config.h"

#include <array>

#include "convert/limits.h"
#include "convert/pooling.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::string_view kFile = "config.json";

std::string where(std::string_view names) { return std::string(kFile) + ": " + std::string(names); }

// Calls `use` for each name of "a|b|c" until it returns true.
template <class Use>
void for_each_name(std::string_view names, Use use) {
  while (!names.empty()) {
    const std::size_t end = std::min(names.find('|'), names.size());
    if (use(names.substr(0, end))) return;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
}

// Unlike Json::find this tells a null from an absent member: the first name that is *present* wins.
const Json* first_present(const Json::Object& fields, std::string_view names) noexcept {
  const Json* found = nullptr;
  for_each_name(names, [&](std::string_view name) {
    found = fields.find(name);
    return found != nullptr;
  });
  return found;
}

// Multimodal wrappers keep the language model's settings under one of these names.
constexpr std::array<std::string_view, 4> kNested = {"text_config", "llm_config", "lm_config",
                                                     "language_config"};

std::string find_architecture_name(const Json& root) {
  const Json* nested = root.find_path({"text_config", "architectures"});
  const Json* names = nested != nullptr ? nested : root.find("architectures");
  if (names == nullptr) fail(ErrorKind::Corrupt, where("architectures") + ": missing");
  const Json::Array& list = names->as_array(where("architectures"));
  if (list.empty()) fail(ErrorKind::Corrupt, where("architectures") + ": empty");
  return list.front().as_string(where("architectures[0]"));
}

}  // namespace

ModelConfig::ModelConfig(Json root)
    : root_(std::move(root)),
      fields_(root_.as_object(kFile)),
      architecture_(find_architecture_name(root_)) {
  for (const std::string_view name : kNested) {
    const Json* nested = root_.find(name);
    if (nested == nullptr) continue;
    for (const auto& [key, value] : nested->as_object(where(name))) fields_.set(key, value);
  }
  gather_rope();
}

const Json* ModelConfig::find(std::string_view names) const noexcept {
  const Json* found = first_present(fields_, names);
  return found == nullptr || found->is_null() ? nullptr : found;
}

const Json& ModelConfig::at(std::string_view names) const {
  const Json* found = find(names);
  if (found == nullptr) fail(ErrorKind::Corrupt, where(names) + ": missing");
  return *found;
}

std::uint64_t ModelConfig::uint(std::string_view names) const {
  return at(names).as_uint(where(names));
}

std::uint64_t ModelConfig::uint_or(std::string_view names, std::uint64_t otherwise) const {
  const Json* found = find(names);
  return found == nullptr ? otherwise : found->as_uint(where(names));
}

double ModelConfig::number(std::string_view names) const {
  return at(names).as_double(where(names));
}

double ModelConfig::number_or(std::string_view names, double otherwise) const {
  const Json* found = find(names);
  return found == nullptr ? otherwise : found->as_double(where(names));
}

bool ModelConfig::flag(std::string_view name) const {
  const Json* found = find(name);
  return found != nullptr && found->as_bool(where(name));
}

const Json::Object& ModelConfig::full_rope() const {
  const Json* full = rope_.find("full_attention");
  return full == nullptr ? rope_ : full->as_object(where("rope_parameters.full_attention"));
}

void ModelConfig::fill_defaults() {
  const Json* type = find("model_type");
  if (type == nullptr || !type->is_string() || find("head_dim") != nullptr) return;
  if (type->as_string() != "llama" && type->as_string() != "mistral") return;
  const std::uint64_t heads = uint("num_attention_heads");
  if (heads != 0) fields_.set("head_dim", uint("hidden_size") / heads);
}

// Transformers moved these settings from the top level into rope_scaling and then rope_parameters;
// published configs show every stage of that. Conversion sees one object with the newest names.
void ModelConfig::gather_rope() {
  const Json* given = first_present(fields_, "rope_parameters|rope_scaling");
  if (given != nullptr && !given->is_null()) rope_ = given->as_object(where("rope_parameters"));
  if (rope_.find("full_attention") != nullptr || rope_.find("sliding_attention") != nullptr) return;

  const auto mirror = [&](std::string_view name, const Json* value) {
    if (value != nullptr && !value->is_null() && rope_.find(name) == nullptr) {
      rope_.set(std::string(name), *value);
    }
  };
  const Json* local = find(
      "local_rope_theta|rope_local_theta|rope_theta_local|swa_rope_theta|rope_local_base_freq");
  if (local != nullptr) {
    Json::Object sliding;
    sliding.set("rope_theta", *local);
    rope_.set("sliding_attention", std::move(sliding));
  }
  mirror("rope_theta",
         find("global_rope_theta|rope_global_theta|rope_theta_global|rope_theta|rotary_emb_base"));
  mirror("rope_type", rope_.find("type"));
  mirror("partial_rotary_factor", find("partial_rotary_factor|rope_pct|rope_percent"));
  mirror("original_max_position_embeddings", find("original_max_position_embeddings"));
}

ModelConfig read_config(const ModelFiles& files) {
  if (!files.has(kFile)) {
    fail(ErrorKind::NotFound,
         files.model_name() + ": no " + std::string(kFile) + " among its files");
  }
  ModelConfig config(parse_json(files.read_text(kFile, kConfigBytesMax), kFile, kConfigBytesMax));
  config.set_pooling(read_pooling(files));
  return config;
}

}  // namespace holdfast::convert
