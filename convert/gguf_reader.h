// GGUF headers (v2 and v3, little-endian): keys and tensor table, never the data. Enforces what the
// reference reader enforces: unique names, power-of-two alignment, whole blocks per row, offsets
// exactly consecutive, everything inside the file.
//
// Errors: Corrupt naming file, key or tensor, and value; Unsupported for another version, byte
// order, tensor type or an array of arrays; LimitExceeded.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "convert/gguf_writer.h"
#include "convert/metadata.h"
#include "convert/model_files.h"

namespace holdfast::convert {

struct GgufFile {
  std::uint32_t version = 0;
  std::uint64_t alignment = kGgufAlignment;
  std::uint64_t data_offset = 0;  // of the data section in the file
  Metadata metadata;
  std::vector<GgufTensor> tensors;
};

GgufFile read_gguf(const ModelFile& file, std::string_view file_name);

// Bytes of a tensor's data, without padding. Error(Unsupported) for a type we do not know.
std::uint64_t tensor_bytes(const GgufTensor& tensor);

}  // namespace holdfast::convert
