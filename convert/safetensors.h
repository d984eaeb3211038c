// Checkpoints in safetensors form: headers only, never the data.
//
// Format (huggingface/safetensors, README "Format"): u64 little-endian header length, a JSON object
// {name: {dtype, shape, data_offsets}, "__metadata__": {string: string}}, then the data, which the
// tensors tile without gap or overlap. A sharded checkpoint adds model.safetensors.index.json with
// a weight_map from tensor to file.
//
// Errors: Corrupt naming file, tensor, field and value; LimitExceeded; NotFound for a missing
// shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convert/model_files.h"
#include "quantize/format.h"
#include "quantize/rows.h"

namespace holdfast::convert {

// An element type as safetensors names it.
struct Dtype {
  std::string_view name;                        // "BF16"
  std::uint32_t bits;                           // per element; F4 and F6 are packed
  std::optional<quantize::SourceType> numeric;  // how kernels read it, if they can
};

// By exact name; nullptr when unknown. The rows live for ever.
const Dtype* find_dtype(std::string_view name) noexcept;

struct SourceTensor {
  std::string name;
  const Dtype* dtype = nullptr;      // a row of the table, never null
  std::vector<std::uint64_t> shape;  // slowest dimension first, as in the file
  std::uint32_t file = 0;            // index into Checkpoint::files
  std::uint64_t offset = 0;          // of its first byte in that file
  std::uint64_t size_bytes = 0;
  std::string alias_of;  // not empty: shares the bytes of that tensor, by `__metadata__`
  std::optional<quantize::Format> blocks;  // of GGUF sources: the rows are blocks of this format

  std::uint64_t elements() const noexcept;
};

// One file's header.
struct SafetensorsHeader {
  std::vector<SourceTensor> tensors;  // by name, bytewise
  std::vector<std::pair<std::string, std::string>> metadata;
};

// `prefix` is the first eight bytes. Returns the length of the JSON text behind them.
std::uint64_t parse_safetensors_prefix(std::span<const std::byte, 8> prefix,
                                       std::uint64_t file_bytes, std::string_view file_name);

// `json` is the header text, `file_bytes` the size of the whole file. Tensors' `file` stays 0.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_bytes,
                                           std::string_view file_name);

// Reads and parses the header of a file.
SafetensorsHeader read_safetensors_header(const ModelFile& file, std::string_view file_name);

// All tensors of a checkpoint: by file name, then by tensor name, which is the order in which the
// peer writes them. A name that `__metadata__` declares to be another tensor's (shared weights are
// stored once) is listed as a tensor of its own with `alias_of` set.
struct Checkpoint {
  std::vector<std::string> files;
  std::vector<SourceTensor> tensors;
};

Checkpoint read_checkpoint(const ModelFiles& files);

// "[2, 3]", for messages.
std::string shape_text(std::span<const std::uint64_t> shape);

}  // namespace holdfast::convert
