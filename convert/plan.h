// Everything about an output file before a byte of weights is read: each
// tensor's name, type, place and origin, and the complete header. Pure: the
// same inputs give the same plan, and a plan fixes the output's bytes together
// with the source's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convert/architecture.h"
#include "convert/config.h"
#include "convert/file_type.h"
#include "convert/gguf_source.h"
#include "convert/imatrix.h"
#include "convert/metadata.h"
#include "convert/plan_tensors.h"
#include "convert/safetensors.h"
#include "convert/tensor_types.h"

namespace holdfast::convert {

struct PlannedTensor {
  DraftTensor draft;
  quantize::Format format = quantize::Format::F32;
  std::string_view rule;              // why this format; static text
  std::span<const float> importance;  // weights of its columns, expert by expert; or empty
  bool scales_finite = false;         // a block whose scale overflows is an error
  std::uint32_t file = 0;             // index into Plan::files
  std::uint64_t offset = 0;           // from the start of the file
  std::uint64_t size_bytes = 0;       // without padding
};

// A file of the output: one, unless it is split.
struct PlannedFile {
  std::vector<std::byte> header;  // everything in front of the first tensor
  std::uint64_t size_bytes = 0;
};

struct Plan {
  const FileType* file_type = nullptr;  // a row of the table, never null
  Metadata metadata;
  std::vector<PlannedTensor> tensors;  // in file order
  std::vector<PlannedFile> files;      // at least one

  std::uint64_t size_bytes() const noexcept;
};

// The keys of a plan, by origin. Each list is in the peer's order.
struct PlanMetadata {
  Metadata general;     // general.type onwards
  Metadata tokenizer;   // tokenizer.*
  Metadata provenance;  // holdfast.*; empty for --plain
};

// When to start another file; 0 is never. A tensor is never cut.
struct SplitLimits {
  std::uint64_t tensors_max = 0;
  std::uint64_t bytes_max = 0;  // of tensor data, without padding
};

// An importance matrix and the name by which the keys call it. Borrowed by
// plans.
struct NamedImportance {
  const ImportanceMatrix* matrix = nullptr;
  std::string file_name;
};

struct PlanInput {
  const Architecture& architecture;
  const ModelConfig& config;
  const Checkpoint& checkpoint;
  std::vector<DraftTensor> drafts;  // of draft_tensors
  PlanMetadata metadata;
  QuantizerOptions quantizer;
  NamedImportance importance;
  SplitLimits split;
};

// Errors: Unsupported when a chosen type has no kernel or a source element type
// cannot be read; Invalid when a type needs importance weights that are not
// there; Corrupt when weights do not fit.
Plan make_plan(const PlanInput& input, const FileType& file_type);

// A ready GGUF, quantized as the quantizer would.
struct RequantizeInput {
  const GgufSource& source;
  Metadata provenance;
  QuantizerOptions quantizer;
  NamedImportance importance;
  SplitLimits split;
  bool allow_requantize = false;  // of tensors that are in a block format already
};

Plan make_plan(const RequantizeInput& input, const FileType& file_type);

// The precision that the checkpoint itself has: that of its first tensor of two
// or more dimensions. What --to auto means, and what the quantizer leaves
// tensors in that it does not quantize.
const FileType& own_precision(const Checkpoint& checkpoint);

// The name of a file of an output: `path` itself, or its stem with
// "-00001-of-00003" (quant.md 1.1).
std::string split_name(const std::string& path, std::size_t index, std::size_t count);

// The golden form: a line for each key and each tensor.
std::string to_text(const Plan& plan, const Checkpoint& checkpoint);

}  // namespace holdfast::convert
