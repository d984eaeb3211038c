#include "convert/gguf_source.h"

#include <algorithm>
#include <array>

#include "convert/ggml_type.h"
#include "convert/gguf_reader.h"
#include "convert/limits.h"
#include "convert/plan.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

using quantize::Format;

// Types whose elements kernels read one by one; all others go as blocks.
constexpr std::array kPlain = {Format::F32, Format::F16, Format::BF16};

// What messages and ledgers call a block format.
const Dtype* block_dtype(const GgmlType& type) {
  static const std::vector<Dtype> kDtypes = [] {
    std::vector<Dtype> all;
    for (std::uint32_t id = 0; id < 64; ++id) {
      if (const GgmlType* known = find_ggml_type(id)) all.push_back({known->name, 0, {}});
    }
    return all;
  }();
  return &*std::ranges::find(kDtypes, type.name, &Dtype::name);
}

std::vector<std::string> names_of_split(const GgufFile& first, const std::string& name) {
  const MetadataValue* value = first.metadata.find("split.count");
  const auto* count = value == nullptr ? nullptr : std::get_if<std::uint16_t>(value);
  if (count == nullptr || *count <= 1) return {name};
  const std::string ending = split_name("", 0, *count);
  if (!name.ends_with(ending)) {
    fail(ErrorKind::Unsupported,
         name + ": one of " + std::to_string(*count) + " files; give the first, NAME" + ending);
  }
  const std::string stem = name.substr(0, name.size() - ending.size());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < *count; ++i) names.push_back(split_name(stem, i, *count));
  return names;
}

SourceTensor source_tensor(const GgufTensor& tensor, std::uint32_t file,
                           std::uint64_t data_offset) {
  const GgmlType& type = *find_ggml_type(tensor.type);
  SourceTensor source{.name = tensor.name,
                      .file = file,
                      .offset = data_offset + tensor.offset,
                      .size_bytes = tensor_bytes(tensor)};
  source.shape.assign(tensor.ne.rbegin(), tensor.ne.rend());
  if (std::ranges::find(kPlain, Format{type.id}) != kPlain.end()) {
    source.dtype = find_dtype(type.name);
  } else {
    source.dtype = block_dtype(type);
    source.blocks = Format{type.id};
  }
  return source;
}

DraftTensor draft_of(const SourceTensor& source, std::uint32_t index) {
  DraftTensor draft{.name = source.name};
  draft.ne.assign(source.shape.rbegin(), source.shape.rend());
  const std::uint64_t row = draft.ne.empty() ? 1 : draft.ne.front();
  const std::uint64_t rows = row == 0 ? 0 : source.elements() / row;
  if (!source.blocks) {
    draft.parts = {whole(index, rows, row)};
    return draft;
  }
  const GgmlType& type = ggml_type(*source.blocks);
  TensorView view = whole(index, rows, row / type.block_values);
  view.packing = Packing::GgmlBlocks;
  view.blocks = {.format = *source.blocks, .values = type.block_values, .bytes = type.block_bytes};
  draft.parts = {view};
  return draft;
}

}  // namespace

GgufSource read_gguf_source(const ModelFiles& files, const std::string& name) {
  GgufSource source;
  const GgufFile first = read_gguf(*files.open(name), name);
  source.metadata = first.metadata;
  for (const std::string_view key : {"split.no", "split.count", "split.tensors.count"}) {
    source.metadata.erase(key);
  }
  source.checkpoint.files = names_of_split(first, name);
  for (std::uint32_t i = 0; i < source.checkpoint.files.size(); ++i) {
    const std::string& part = source.checkpoint.files[i];
    const GgufFile gguf = i == 0 ? first : read_gguf(*files.open(part), part);
    for (const GgufTensor& tensor : gguf.tensors) {
      const auto index = static_cast<std::uint32_t>(source.checkpoint.tensors.size());
      source.checkpoint.tensors.push_back(source_tensor(tensor, i, gguf.data_offset));
      source.drafts.push_back(draft_of(source.checkpoint.tensors.back(), index));
    }
  }
  return source;
}

}  // namespace holdfast::convert
