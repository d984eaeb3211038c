// What a model's name says about it: "example-org/Tiny-Harbour-1B-Chat-v1.2" has an organization,
// a base name, a size, a finetune and a version. The rules are those of gguf-py (llama.cpp v0.5.0,
// gguf/metadata.py), because general.* keys are compared across tools. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::convert {

struct ModelName {
  std::string full_name;  // without the organization
  std::optional<std::string> organization;
  std::optional<std::string> basename;
  std::optional<std::string> finetune;
  std::optional<std::string> version;
  std::optional<std::string> size_label;
};

// `parameters_total` tells a size ("8B") from a context length ("128k"); 0 = not known.
ModelName parse_model_name(std::string_view id, std::uint64_t parameters_total);

// "tiny-harbour-v1.2" → "Tiny Harbour v1.2". Words with capitals and versions stay as they are.
std::string to_title(std::string_view name);

struct SizeLabelInput {
  std::uint64_t total = 0;
  std::uint64_t active_parts = 0;  // shared parameters and those of one expert
  std::uint64_t experts = 0;       // 0 = not a mixture
};

// "116K", "8x84K": at least two digits, rounded.
std::string to_size_label(const SizeLabelInput& parameters);

}  // namespace holdfast::convert
