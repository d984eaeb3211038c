// Every tensor type that GGUF files use, whether or not quantize/ has a kernel for it: enough to
// plan offsets and to read foreign files. Ids and block shapes: ggml, include/ggml.h (enum
// ggml_type) and src/ggml-common.h. A quantize::Format is a GgmlType by its numeric value.
#pragma once

#include <cstdint>
#include <string_view>

#include "quantize/format.h"

namespace holdfast::convert {

struct GgmlType {
  std::uint32_t id;
  std::string_view name;
  std::uint32_t block_values;
  std::uint32_t block_bytes;
};

// nullptr when unknown. The rows live for ever.
const GgmlType* find_ggml_type(std::uint32_t id) noexcept;
// By name, case-insensitive.
const GgmlType* find_ggml_type(std::string_view name) noexcept;

// Of a format that has a row for certain, as those that plans choose have.
const GgmlType& ggml_type(quantize::Format format);

// Whether quantize/ can encode it.
bool has_kernel(quantize::Format format) noexcept;

}  // namespace holdfast::convert
