// What a user asks for with --to: a mixture of tensor types under one name (llama.cpp, enum
// llama_ftype), and which of the peer's two programs defines its bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "quantize/format.h"

namespace holdfast::convert {

// The peer makes some types with its converter and the rest with its quantizer. The two differ in
// which tensors keep full precision, in tensor order and in key order.
enum class TypeRules : std::uint8_t { Converter, Quantizer };

struct FileType {
  std::string_view name;    // "Q4_K_M"
  std::uint32_t id;         // general.file_type
  quantize::Format format;  // of most tensors
  TypeRules rules;
};

std::span<const FileType> file_types() noexcept;

// Case-insensitive; knows the short names (Q4_K is Q4_K_M). Error(Invalid) listing the names.
const FileType& find_file_type(std::string_view name);

}  // namespace holdfast::convert
