// Importance matrices: how much each input column of a weight matters, measured by running a model
// over text. Reads both forms that llama.cpp's tool writes: GGUF with general.type "imatrix", and
// the older binary form (common/imatrix-loader.cpp). See FORMAT.md.
//
// Errors: Corrupt naming file, tensor and value (a weight that is negative or no finite number, and
// a tensor given twice, included); LimitExceeded.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convert/metadata.h"
#include "convert/model_files.h"

namespace holdfast::convert {

struct ImportanceMatrix {
  // GGUF tensor name to weights: one for each column, and that for each expert.
  std::map<std::string, std::vector<float>, std::less<>> weights;
  std::vector<std::string> datasets;
  std::uint32_t chunks = 0;

  // Empty when the tensor has none.
  std::span<const float> find(std::string_view name) const noexcept;
};

ImportanceMatrix read_importance(const ModelFile& file, std::string_view file_name);

// The quantize.imatrix.* keys that the quantizer adds. `file_name` is written as given, cut at 127
// bytes as the quantizer does.
Metadata importance_metadata(const ImportanceMatrix& matrix, std::string_view file_name);

}  // namespace holdfast::convert
