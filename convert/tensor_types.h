// Which type each tensor of a GGUF file gets: the converter's rule (quant.md 4.1 for the tensors
// that stay F32), and the quantizer's mixtures with their fallbacks (llama.cpp v0.5.0,
// src/llama-quant.cpp). Pure; results depend on names, shapes and a few counts alone, never on
// data.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convert/file_type.h"
#include "quantize/format.h"

namespace holdfast::convert {

// A choice and the reason for it, as the ledger shows it.
struct TypeChoice {
  quantize::Format format = quantize::Format::F32;
  std::string_view rule;  // static text
};

// An output tensor as the rules see it.
struct TypedTensor {
  std::string_view name;
  std::span<const std::uint64_t> ne;  // fastest dimension first
  quantize::Format format;            // before quantizing
};

// The converter's choice for one tensor when `target` is asked for.
TypeChoice converter_type(std::string_view name, std::span<const std::uint64_t> ne,
                          quantize::Format target);

// What the mixtures look at besides the tensors.
struct ModelShape {
  std::string_view architecture;
  std::uint64_t blocks = 0;
  std::uint64_t heads = 0, heads_kv = 0;
  std::uint64_t experts = 0;
};

// --tensor-type: the first pattern (ECMAScript, searched anywhere in the name) that matches wins.
struct TypeOverride {
  std::string pattern;
  quantize::Format format;
};

struct QuantizerOptions {
  bool has_importance = false;  // some importance matrix is loaded
  bool pure = false;            // no mixture
  bool leave_output = false;    // output.weight keeps its type
  std::optional<quantize::Format> output_type, embedding_type;
  std::vector<TypeOverride> overrides;
  std::set<std::uint64_t> pruned_layers;  // left out, of any type (see prune.h)
};

// The quantizer's choice for all tensors, which must be in its order (see quantizer_order).
// Error(Invalid) for a bad pattern, Error(Unsupported) where no fallback exists.
std::vector<TypeChoice> quantizer_types(std::span<const TypedTensor> tensors,
                                        const FileType& file_type, const ModelShape& shape,
                                        const QuantizerOptions& options);

// Whether the quantizer refuses to write this tensor without importance data.
bool needs_importance(std::string_view name, quantize::Format format, const FileType& file_type);

// Indices of `names` as the quantizer writes them: tensors outside blocks first, then by block
// number, by name within.
std::vector<std::size_t> quantizer_order(std::span<const std::string_view> names);

}  // namespace holdfast::convert
