// Everything about an output file before a byte of weights is read: each tensor's name, type, place
// and origin, and the complete header. Pure: the same inputs give the same plan, and a plan fixes
// the output's bytes together with the source's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convert/architecture.h"
#include "convert/config.h"
#include "convert/file_type.h"
#include "convert/metadata.h"
#include "convert/plan_tensors.h"
#include "convert/safetensors.h"
#include "convert/tensor_types.h"

namespace holdfast::convert {

struct PlannedTensor {
  DraftTensor draft;
  quantize::Format format = quantize::Format::F32;
  std::string_view rule;         // why this format; static text
  std::uint64_t offset = 0;      // from the start of the file
  std::uint64_t size_bytes = 0;  // without padding
};

struct Plan {
  const FileType* file_type = nullptr;  // a row of the table, never null
  Metadata metadata;
  std::vector<PlannedTensor> tensors;  // in file order
  std::vector<std::byte> header;       // everything in front of the first tensor
  std::uint64_t file_bytes = 0;
};

// The keys of a plan, by origin. Each list is in the peer's order.
struct PlanMetadata {
  Metadata general;     // general.type onwards
  Metadata tokenizer;   // tokenizer.*
  Metadata provenance;  // holdfast.*; empty for --plain
};

struct PlanInput {
  const Architecture& architecture;
  const ModelConfig& config;
  const Checkpoint& checkpoint;
  std::vector<DraftTensor> drafts;  // of draft_tensors
  PlanMetadata metadata;
  QuantizerOptions quantizer;
};

// Errors: Unsupported when a chosen type has no kernel or a source element type cannot be read.
Plan make_plan(const PlanInput& input, const FileType& file_type);

// The precision that the checkpoint itself has: that of its first tensor of two or more dimensions.
// What --to auto means, and what the quantizer leaves tensors in that it does not quantize.
const FileType& own_precision(const Checkpoint& checkpoint);

// The golden form: a line for each key and each tensor.
std::string to_text(const Plan& plan, const Checkpoint& checkpoint);

}  // namespace holdfast::convert
