#include "convert/plan.h"

#include <algorithm>

#include "convert/ggml_type.h"
#include "convert/gguf_writer.h"
#include "convert/hyperparameters.h"
#include "convert/metadata_text.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::uint32_t kQuantizationVersion = 2;  // GGML_QNT_VERSION

void append(Metadata& metadata, const Metadata& more) {
  for (const MetadataEntry& entry : more.entries()) metadata.set(entry.key, entry.value);
}

// The converter's order; the quantizer takes two keys out and puts them at the end.
Metadata file_metadata(const PlanInput& input, const FileType& file_type) {
  Metadata metadata;
  metadata.set("general.architecture", std::string(input.architecture.name));
  add_early_hyperparameters(input.architecture, input.config, metadata);
  append(metadata, input.metadata.general);
  add_hyperparameters(input.architecture, input.config, file_type.id, metadata);
  metadata.set("general.quantization_version", kQuantizationVersion);
  append(metadata, input.metadata.tokenizer);
  if (file_type.rules == TypeRules::Quantizer) {
    metadata.erase("general.quantization_version");
    metadata.set("general.quantization_version", kQuantizationVersion);
    metadata.erase("general.file_type");
    metadata.set("general.file_type", file_type.id);
  }
  append(metadata, input.metadata.provenance);
  return metadata;
}

std::uint64_t uint_key(const Metadata& metadata, const std::string& key) {
  const MetadataValue* value = metadata.find(key);
  const auto* number = value == nullptr ? nullptr : std::get_if<std::uint32_t>(value);
  return number == nullptr ? 0 : *number;
}

ModelShape model_shape(const Architecture& architecture, const Metadata& metadata) {
  const std::string prefix = std::string(architecture.name) + ".";
  ModelShape shape{.architecture = architecture.name};
  shape.blocks = uint_key(metadata, prefix + "block_count");
  shape.heads = uint_key(metadata, prefix + "attention.head_count");
  shape.heads_kv = uint_key(metadata, prefix + "attention.head_count_kv");
  // The runtime takes the head count where the key is absent.
  if (shape.heads_kv == 0) shape.heads_kv = shape.heads;
  shape.experts = uint_key(metadata, prefix + "expert_count");
  return shape;
}

TypeChoice kept(const DraftTensor& draft) {
  return {*draft.encoded, "block format of the checkpoint"};
}

std::vector<PlannedTensor> converter_tensors(const PlanInput& input, quantize::Format target) {
  std::vector<PlannedTensor> tensors;
  for (const DraftTensor& draft : input.drafts) {
    const TypeChoice choice =
        draft.encoded ? kept(draft) : converter_type(draft.name, draft.ne, target);
    tensors.push_back({.draft = draft, .format = choice.format, .rule = choice.rule});
  }
  return tensors;
}

// The quantizer reads what the converter writes in the checkpoint's own precision.
std::vector<PlannedTensor> quantizer_tensors(const PlanInput& input, const FileType& file_type,
                                             const Metadata& metadata) {
  const std::vector<PlannedTensor> before =
      converter_tensors(input, own_precision(input.checkpoint).format);
  std::vector<std::string_view> names;
  for (const PlannedTensor& tensor : before) names.push_back(tensor.draft.name);
  std::vector<PlannedTensor> tensors;
  std::vector<TypedTensor> typed;
  for (const std::size_t i : quantizer_order(names)) {
    tensors.push_back(before[i]);
    typed.push_back({before[i].draft.name, before[i].draft.ne, before[i].format});
  }
  const std::vector<TypeChoice> choices =
      quantizer_types(typed, file_type, model_shape(input.architecture, metadata), input.quantizer);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TypeChoice choice = tensors[i].draft.encoded ? kept(tensors[i].draft) : choices[i];
    tensors[i].format = choice.format;
    tensors[i].rule = choice.rule;
    if (tensors[i].draft.encoded) continue;
    if (!input.quantizer.has_importance &&
        needs_importance(tensors[i].draft.name, tensors[i].format, file_type)) {
      fail(ErrorKind::Invalid, std::string(file_type.name) + ": tensor \"" + tensors[i].draft.name +
                                   "\" as " + std::string(ggml_type(tensors[i].format).name) +
                                   " needs an importance matrix (--imatrix)");
    }
  }
  return tensors;
}

void check_convertible(const PlanInput& input, std::span<const PlannedTensor> tensors) {
  for (const PlannedTensor& tensor : tensors) {
    if (!has_kernel(tensor.format)) {
      fail(ErrorKind::Unsupported, "tensor \"" + tensor.draft.name + "\": no kernel for " +
                                       std::string(ggml_type(tensor.format).name));
    }
    for (const TensorView& part : tensor.draft.parts) {
      const SourceTensor& source = input.checkpoint.tensors[part.source];
      if (source.dtype->numeric || part.packing == Packing::MxBlocks) continue;
      fail(ErrorKind::Unsupported, input.checkpoint.files[source.file] + ": " + source.name +
                                       ".dtype: " + std::string(source.dtype->name) +
                                       " cannot be converted");
    }
  }
}

std::vector<std::uint64_t> written_shape(const DraftTensor& draft, TypeRules rules) {
  std::vector<std::uint64_t> ne = draft.ne;
  // ggml does not count trailing dimensions of one, so the quantizer does not write them.
  while (rules == TypeRules::Quantizer && ne.size() > 1 && ne.back() == 1) ne.pop_back();
  return ne;
}

void lay_out(Plan& plan) {
  std::vector<GgufTensor> table;
  std::uint64_t offset = 0;
  for (PlannedTensor& tensor : plan.tensors) {
    const GgmlType& type = ggml_type(tensor.format);
    tensor.size_bytes = tensor.draft.elements() / type.block_values * type.block_bytes;
    table.push_back({.name = tensor.draft.name,
                     .ne = written_shape(tensor.draft, plan.file_type->rules),
                     .type = type.id,
                     .offset = offset});
    tensor.offset = offset;
    offset += aligned(tensor.size_bytes);
  }
  plan.header = encode_gguf_header(plan.metadata, table);
  for (PlannedTensor& tensor : plan.tensors) tensor.offset += plan.header.size();
  plan.file_bytes = plan.header.size() + offset;
}

std::string source_text(const PlannedTensor& tensor, const Checkpoint& checkpoint) {
  if (tensor.draft.parts.empty()) return "(generated)";
  const SourceTensor& first = checkpoint.tensors[tensor.draft.parts.front().source];
  std::string text = first.name + " " + std::string(first.dtype->name);
  if (tensor.draft.parts.size() > 1) {
    text += " and " + std::to_string(tensor.draft.parts.size() - 1) + " more";
  }
  if (!tensor.draft.parts.front().is_contiguous()) text += ", reordered";
  return text;
}

}  // namespace

const FileType& own_precision(const Checkpoint& checkpoint) {
  for (const SourceTensor& tensor : checkpoint.tensors) {
    if (tensor.shape.size() < 2) continue;
    if (tensor.dtype->name == "BF16" || tensor.dtype->name == "F16" ||
        tensor.dtype->name == "F32") {
      return find_file_type(tensor.dtype->name);
    }
  }
  return find_file_type("F16");
}

Plan make_plan(const PlanInput& input, const FileType& file_type) {
  Plan plan{.file_type = &file_type};
  plan.metadata = file_metadata(input, file_type);
  plan.tensors = file_type.rules == TypeRules::Converter
                     ? converter_tensors(input, file_type.format)
                     : quantizer_tensors(input, file_type, plan.metadata);
  check_convertible(input, plan.tensors);
  lay_out(plan);
  return plan;
}

std::string to_text(const Plan& plan, const Checkpoint& checkpoint) {
  std::string text = "type " + std::string(plan.file_type->name) + "\nheader " +
                     std::to_string(plan.header.size()) + "\nfile " +
                     std::to_string(plan.file_bytes) + "\n";
  for (const MetadataEntry& entry : plan.metadata.entries()) {
    text += "key " + entry.key + " " + to_text(entry.value) + "\n";
  }
  for (const PlannedTensor& tensor : plan.tensors) {
    text += "tensor " + tensor.draft.name + " " + std::string(ggml_type(tensor.format).name) + " " +
            shape_text(tensor.draft.ne) + " at " + std::to_string(tensor.offset) + " bytes " +
            std::to_string(tensor.size_bytes) + " (" + std::string(tensor.rule) + ") from " +
            source_text(tensor, checkpoint) + "\n";
  }
  return text;
}

}  // namespace holdfast::convert
