// A GGUF file as the source of a conversion: its tensors under their own names, its keys as they
// stand. What the quantizer of llama.cpp does with a ready GGUF. Headers only.
//
// Errors: those of read_gguf; Unsupported for a split file whose siblings are missing.
#pragma once

#include <string>
#include <vector>

#include "convert/metadata.h"
#include "convert/model_files.h"
#include "convert/plan_tensors.h"
#include "convert/safetensors.h"

namespace holdfast::convert {

struct GgufSource {
  Metadata metadata;      // of the first file, without split.*
  Checkpoint checkpoint;  // block formats are SourceTensor::blocks
  std::vector<DraftTensor> drafts;
};

// `name` is the file, or the first of a split one.
GgufSource read_gguf_source(const ModelFiles& files, const std::string& name);

}  // namespace holdfast::convert
