#include "convert/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <unordered_map>

#include "convert/limits.h"
#include "storage/base/error.h"
#include "storage/base/json.h"

namespace holdfast::convert {
namespace {

using quantize::SourceType;

constexpr std::string_view kIndexName = "model.safetensors.index.json";

// safetensors/src/tensor.rs, enum Dtype.
constexpr std::array kDtypes = {
    Dtype{"BOOL", 8, {}},
    Dtype{"F4", 4, {}},
    Dtype{"F6_E2M3", 6, {}},
    Dtype{"F6_E3M2", 6, {}},
    Dtype{"U8", 8, {}},
    Dtype{"I8", 8, {}},
    Dtype{"F8_E5M2", 8, SourceType::F8_E5M2},
    Dtype{"F8_E4M3", 8, SourceType::F8_E4M3},
    Dtype{"F8_E8M0", 8, {}},
    Dtype{"F8_E4M3FNUZ", 8, {}},
    Dtype{"F8_E5M2FNUZ", 8, {}},
    Dtype{"I16", 16, {}},
    Dtype{"U16", 16, {}},
    Dtype{"F16", 16, SourceType::F16},
    Dtype{"BF16", 16, SourceType::BF16},
    Dtype{"I32", 32, {}},
    Dtype{"U32", 32, {}},
    Dtype{"F32", 32, SourceType::F32},
    Dtype{"C64", 64, {}},
    Dtype{"F64", 64, SourceType::F64},
    Dtype{"I64", 64, {}},
    Dtype{"U64", 64, {}},
};

[[noreturn]] void corrupt(std::string_view file, const std::string& what) {
  fail(ErrorKind::Corrupt, std::string(file) + ": " + what);
}

std::vector<std::uint64_t> parse_shape(const Json& field, const std::string& where) {
  const Json::Array& dimensions = field.as_array(where);
  if (dimensions.size() > kTensorRankMax) {
    fail(ErrorKind::LimitExceeded, where + ": " + std::to_string(dimensions.size()) +
                                       " dimensions, at most " + std::to_string(kTensorRankMax));
  }
  std::vector<std::uint64_t> shape;
  for (const Json& dimension : dimensions) shape.push_back(dimension.as_uint(where));
  return shape;
}

// Bytes of the tensor; the product may not pass 2^63 bits.
std::uint64_t tensor_bytes(const Dtype& dtype, std::span<const std::uint64_t> shape,
                           const std::string& where) {
  std::uint64_t bits = dtype.bits;
  for (const std::uint64_t dimension : shape) {
    if (__builtin_mul_overflow(bits, dimension, &bits) || bits >> 63 != 0) {
      fail(ErrorKind::Corrupt, where + ".shape: " + shape_text(shape) + " of " +
                                   std::string(dtype.name) + " is larger than any file");
    }
  }
  if (bits % 8 != 0) {
    fail(ErrorKind::Corrupt, where + ".shape: " + shape_text(shape) + " of " +
                                 std::string(dtype.name) + " is no whole number of bytes");
  }
  return bits / 8;
}

SourceTensor parse_tensor(const std::string& name, const Json& entry, std::uint64_t data_bytes,
                          std::string_view file) {
  const std::string where = std::string(file) + ": " + name;
  const Json::Object& fields = entry.as_object(where);
  const auto field = [&](std::string_view key) -> const Json& {
    const Json* found = fields.find(key);
    if (found == nullptr) fail(ErrorKind::Corrupt, where + "." + std::string(key) + ": missing");
    return *found;
  };
  SourceTensor tensor{.name = name};
  const std::string& dtype = field("dtype").as_string(where + ".dtype");
  tensor.dtype = find_dtype(dtype);
  if (tensor.dtype == nullptr) {
    fail(ErrorKind::Corrupt, where + ".dtype: unknown element type \"" + dtype + "\"");
  }
  tensor.shape = parse_shape(field("shape"), where + ".shape");

  const Json::Array& offsets = field("data_offsets").as_array(where + ".data_offsets");
  if (offsets.size() != 2) {
    fail(ErrorKind::Corrupt,
         where + ".data_offsets: expected two numbers, found " + std::to_string(offsets.size()));
  }
  const std::uint64_t begin = offsets[0].as_uint(where + ".data_offsets[0]");
  const std::uint64_t end = offsets[1].as_uint(where + ".data_offsets[1]");
  const std::string found = "[" + std::to_string(begin) + ", " + std::to_string(end) + "]";
  if (begin > end || end > data_bytes) {
    fail(ErrorKind::Corrupt, where + ".data_offsets: " + found + " leaves the " +
                                 std::to_string(data_bytes) + " data bytes of the file");
  }
  tensor.offset = begin;
  tensor.size_bytes = tensor_bytes(*tensor.dtype, tensor.shape, where);
  if (end - begin != tensor.size_bytes) {
    fail(ErrorKind::Corrupt, where + ".data_offsets: " + found + " are " +
                                 std::to_string(end - begin) + " bytes, but " + dtype + " " +
                                 shape_text(tensor.shape) + " needs " +
                                 std::to_string(tensor.size_bytes));
  }
  return tensor;
}

// The tensors must tile the data section: a gap may hide bytes, an overlap is never meant.
void check_tiling(std::span<const SourceTensor> tensors, std::uint64_t data_bytes,
                  std::string_view file) {
  std::vector<const SourceTensor*> by_offset;
  for (const SourceTensor& tensor : tensors) by_offset.push_back(&tensor);
  std::ranges::sort(by_offset, [](const SourceTensor* a, const SourceTensor* b) {
    return std::pair(a->offset, a->size_bytes) < std::pair(b->offset, b->size_bytes);
  });
  std::uint64_t expected = 0;
  for (const SourceTensor* tensor : by_offset) {
    if (tensor->offset != expected) {
      corrupt(file, tensor->name + ".data_offsets: starts at " + std::to_string(tensor->offset) +
                        (tensor->offset < expected ? ", which overlaps the tensor that ends at "
                                                   : ", which leaves a gap after ") +
                        std::to_string(expected));
    }
    expected += tensor->size_bytes;
  }
  if (expected != data_bytes) {
    corrupt(file, "tensors end at byte " + std::to_string(expected) + " of " +
                      std::to_string(data_bytes) + " data bytes");
  }
}

// A shard is a file beside the index: a path in a foreign file is never followed elsewhere.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

struct Shards {
  std::vector<std::string> files;                           // sorted, distinct
  std::unordered_map<std::string, std::string> weight_map;  // empty without an index
};

Shards shards_of_index(const ModelFiles& files) {
  const Json index =
      parse_json(files.read_text(kIndexName, kIndexBytesMax), kIndexName, kIndexBytesMax);
  const std::string where = std::string(kIndexName) + ": weight_map";
  const Json* map = index.find("weight_map");
  if (map == nullptr) fail(ErrorKind::Corrupt, where + ": missing");
  Shards shards;
  std::set<std::string> names;
  for (const auto& [tensor, value] : map->as_object(where)) {
    const std::string& file = value.as_string(where + "." + tensor);
    if (!is_plain_name(file)) {
      fail(ErrorKind::Corrupt,
           where + "." + tensor + ": expected a file name without a path, found \"" + file + "\"");
    }
    if (names.insert(file).second && !files.has(file)) {
      fail(ErrorKind::NotFound, where + "." + tensor + ": shard \"" + file + "\" is missing");
    }
    shards.weight_map.emplace(tensor, file);
  }
  if (names.empty()) fail(ErrorKind::Corrupt, where + ": empty");
  shards.files.assign(names.begin(), names.end());
  return shards;
}

// Without an index the peer takes every model*.safetensors of the folder, in name order.
Shards find_shards(const ModelFiles& files) {
  if (files.has(kIndexName)) return shards_of_index(files);
  Shards shards;
  for (const std::string& path : files.paths()) {
    if (path.starts_with("model") && path.ends_with(".safetensors") && is_plain_name(path)) {
      shards.files.push_back(path);
    }
  }
  if (shards.files.empty()) {
    fail(ErrorKind::NotFound, files.model_name() + ": no model*.safetensors and no " +
                                  std::string(kIndexName) + " among its files");
  }
  return shards;
}

void check_against_index(const Checkpoint& checkpoint, const Shards& shards) {
  if (shards.weight_map.empty()) return;
  std::size_t found = 0;
  for (const SourceTensor& tensor : checkpoint.tensors) {
    if (!tensor.alias_of.empty()) continue;
    const std::string& file = checkpoint.files[tensor.file];
    const auto entry = shards.weight_map.find(tensor.name);
    if (entry == shards.weight_map.end()) {
      corrupt(file, tensor.name + ": not listed in " + std::string(kIndexName));
    }
    if (entry->second != file) {
      corrupt(file, tensor.name + ": " + std::string(kIndexName) + " places it in \"" +
                        entry->second + "\"");
    }
    ++found;
  }
  if (found == shards.weight_map.size()) return;
  std::set<std::string_view> present;
  for (const SourceTensor& tensor : checkpoint.tensors) present.insert(tensor.name);
  for (const auto& [name, file] : shards.weight_map) {
    if (!present.contains(name)) {
      corrupt(kIndexName, "weight_map." + name + ": \"" + file + "\" has no such tensor");
    }
  }
}

// Writers that store shared weights once (huggingface_hub, transformers) record the dropped names
// in `__metadata__` as {dropped name: kept name}.
void add_aliases(SafetensorsHeader& header) {
  const auto find = [&](std::string_view name) -> const SourceTensor* {
    const auto found = std::ranges::lower_bound(header.tensors, name, {}, &SourceTensor::name);
    return found == header.tensors.end() || found->name != name ? nullptr : &*found;
  };
  std::vector<SourceTensor> aliases;
  for (const auto& [name, target] : header.metadata) {
    const SourceTensor* kept = find(target);
    if (kept == nullptr || find(name) != nullptr) continue;
    SourceTensor alias = *kept;
    alias.alias_of = kept->name;
    alias.name = name;
    aliases.push_back(std::move(alias));
  }
  std::ranges::move(aliases, std::back_inserter(header.tensors));
  std::ranges::sort(header.tensors, {}, &SourceTensor::name);
}

void check_distinct(const Checkpoint& checkpoint) {
  std::unordered_map<std::string_view, std::uint32_t> seen;
  for (const SourceTensor& tensor : checkpoint.tensors) {
    const auto [entry, added] = seen.emplace(tensor.name, tensor.file);
    if (!added) {
      corrupt(checkpoint.files[tensor.file],
              tensor.name + ": already in \"" + checkpoint.files[entry->second] + "\"");
    }
  }
}

}  // namespace

const Dtype* find_dtype(std::string_view name) noexcept {
  const auto found = std::ranges::find(kDtypes, name, &Dtype::name);
  return found == kDtypes.end() ? nullptr : &*found;
}

std::uint64_t SourceTensor::elements() const noexcept {
  std::uint64_t product = 1;
  for (const std::uint64_t dimension : shape) product *= dimension;
  return product;
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

std::uint64_t parse_safetensors_prefix(std::span<const std::byte, 8> prefix,
                                       std::uint64_t file_bytes, std::string_view file_name) {
  std::uint64_t length = 0;
  std::memcpy(&length, prefix.data(), sizeof(length));
  if (length > kSafetensorsHeaderMax) {
    fail(ErrorKind::LimitExceeded, std::string(file_name) +
                                       ": header length: " + std::to_string(length) +
                                       " bytes, at most " + std::to_string(kSafetensorsHeaderMax));
  }
  if (file_bytes < prefix.size() || length > file_bytes - prefix.size()) {
    corrupt(file_name, "header length: " + std::to_string(length) + " passes the file's end at " +
                           std::to_string(file_bytes));
  }
  return length;
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_bytes,
                                           std::string_view file_name) {
  if (file_bytes < 8 + json.size()) corrupt(file_name, "header is longer than the file");
  const std::uint64_t data_start = 8 + json.size();
  const Json document = parse_json(json, file_name, kSafetensorsHeaderMax);
  const Json::Object& entries = document.as_object(std::string(file_name) + ": header");
  if (entries.size() > kTensorsPerFileMax) {
    fail(ErrorKind::LimitExceeded, std::string(file_name) + ": " + std::to_string(entries.size()) +
                                       " tensors, at most " + std::to_string(kTensorsPerFileMax));
  }
  SafetensorsHeader header;
  for (const auto& [name, entry] : entries) {
    if (name == "__metadata__") {
      const std::string where = std::string(file_name) + ": __metadata__";
      for (const auto& [key, value] : entry.as_object(where)) {
        header.metadata.emplace_back(key, value.as_string(where + "." + key));
      }
      continue;
    }
    if (name.empty() || name.size() > kTensorNameMax) {
      corrupt(file_name, "tensor name of " + std::to_string(name.size()) +
                             " bytes: expected 1 to " + std::to_string(kTensorNameMax));
    }
    header.tensors.push_back(parse_tensor(name, entry, file_bytes - data_start, file_name));
  }
  check_tiling(header.tensors, file_bytes - data_start, file_name);
  for (SourceTensor& tensor : header.tensors) tensor.offset += data_start;
  std::ranges::sort(header.tensors, {}, &SourceTensor::name);
  return header;
}

SafetensorsHeader read_safetensors_header(const ModelFile& file, std::string_view file_name) {
  std::array<std::byte, 8> prefix;
  if (file.size_bytes() < prefix.size()) {
    corrupt(file_name, "truncated: " + std::to_string(file.size_bytes()) +
                           " bytes, the header length alone takes 8");
  }
  file.read(0, prefix);
  const std::uint64_t length = parse_safetensors_prefix(prefix, file.size_bytes(), file_name);
  std::string json(length, '\0');
  file.read(prefix.size(), std::as_writable_bytes(std::span(json)));
  return parse_safetensors_header(json, file.size_bytes(), file_name);
}

Checkpoint read_checkpoint(const ModelFiles& files) {
  Shards shards = find_shards(files);
  if (shards.files.size() > kShardsMax) {
    fail(ErrorKind::LimitExceeded, files.model_name() + ": " + std::to_string(shards.files.size()) +
                                       " shards, at most " + std::to_string(kShardsMax));
  }
  Checkpoint checkpoint;
  checkpoint.files = shards.files;
  for (std::size_t i = 0; i < shards.files.size(); ++i) {
    SafetensorsHeader header =
        read_safetensors_header(*files.open(shards.files[i]), shards.files[i]);
    add_aliases(header);
    for (SourceTensor& tensor : header.tensors) {
      tensor.file = static_cast<std::uint32_t>(i);
      checkpoint.tensors.push_back(std::move(tensor));
    }
    if (checkpoint.tensors.size() > kTensorsPerModelMax) {
      fail(ErrorKind::LimitExceeded,
           files.model_name() + ": more than " + std::to_string(kTensorsPerModelMax) + " tensors");
    }
  }
  check_distinct(checkpoint);
  check_against_index(checkpoint, shards);
  return checkpoint;
}

}  // namespace holdfast::convert
