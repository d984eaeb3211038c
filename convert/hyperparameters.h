// The keys that every architecture derives from config.json in the same way: layer and head counts,
// rotary embedding, norms, experts. "{arch}.…" of the GGUF key list (ggml, docs/gguf.md).
#pragma once

#include <cstdint>

#include "convert/architecture.h"
#include "convert/config.h"
#include "convert/metadata.h"

namespace holdfast::convert {

// The keys in front of general.type.
void add_early_hyperparameters(const Architecture& architecture, const ModelConfig& config,
                               Metadata& metadata);

// Appends the shared keys, general.file_type and then the architecture's own, in the order in which
// the peer writes them. Errors: Corrupt naming the field of config.json.
void add_hyperparameters(const Architecture& architecture, const ModelConfig& config,
                         std::uint32_t file_type, Metadata& metadata);

}  // namespace holdfast::convert
