// The general.* keys of a GGUF file, derived as the peer derives them: model card front matter,
// config.json, generation_config.json, the folder's name, and the parameter counts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "convert/metadata.h"
#include "convert/model_files.h"
#include "storage/base/json.h"

namespace holdfast::convert {

struct ParameterCounts {
  std::uint64_t total = 0;
  std::uint64_t shared = 0;  // outside expert tensors
  std::uint64_t per_expert = 0;
  std::uint64_t experts = 0;
};

struct GeneralOptions {
  std::optional<std::string> model_name;  // --model-name
  std::optional<Json> metadata_override;  // --metadata FILE: GGUF key names to values
};

// general.type onwards (general.architecture itself comes first, from the architecture's table),
// without general.file_type and general.quantization_version, which the plan adds where the peer
// does.
Metadata general_metadata(const ModelFiles& files, const Json& config,
                          const ParameterCounts& counts, const GeneralOptions& options);

}  // namespace holdfast::convert
