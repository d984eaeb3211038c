// config.json as the architecture tables ask it: nested text_config merged over the top level,
// names with alternatives, and the rotary-embedding parameters gathered from their many spellings.
// Values. Errors: Corrupt "config.json: field: expected …, found …".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "convert/model_files.h"
#include "storage/base/json.h"

namespace holdfast::convert {

class ModelConfig {
 public:
  // `root` is the document; throws Corrupt when `architectures` names nothing.
  explicit ModelConfig(Json root);

  // The class name that transformers would load: "LlamaForCausalLM".
  const std::string& architecture() const noexcept { return architecture_; }

  // The document as it stands.
  const Json& root() const noexcept { return root_; }

  // The first of "a|b|c" that is present; nothing when none is, or when that one is null.
  const Json* find(std::string_view names) const noexcept;
  // As find, but Corrupt when there is nothing.
  const Json& at(std::string_view names) const;

  std::uint64_t uint(std::string_view names) const;
  std::uint64_t uint_or(std::string_view names, std::uint64_t otherwise) const;
  double number(std::string_view names) const;
  double number_or(std::string_view names, double otherwise) const;
  bool flag(std::string_view name) const;  // false when absent

  // rope_parameters or rope_scaling with rope_theta, rope_type and the like mirrored in.
  const Json::Object& rope() const noexcept { return rope_; }

  // Of the full-attention layers, where a model has several kinds.
  const Json::Object& full_rope() const;

  // How a sentence-embedding model pools its tokens: llama_pooling_type of llama.cpp, from
  // modules.json. Nothing for other models.
  std::optional<std::uint32_t> pooling() const noexcept { return pooling_; }

  void set_pooling(std::optional<std::uint32_t> pooling) noexcept { pooling_ = pooling; }

  // What the transformers library adds when it loads the config.json of a Llama or Mistral: the
  // head size. The peer writes it where that library is installed.
  void fill_defaults();

  // Forgets the layers that predict further tokens (multi-token prediction).
  void drop_next_layers() { fields_.erase("num_nextn_predict_layers"); }

 private:
  void gather_rope();

  Json root_;
  Json::Object fields_;
  Json::Object rope_;
  std::string architecture_;
  std::optional<std::uint32_t> pooling_;
};

ModelConfig read_config(const ModelFiles& files);

}  // namespace holdfast::convert
