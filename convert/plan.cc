#include "convert/plan.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "convert/ggml_type.h"
#include "convert/gguf_writer.h"
#include "convert/hyperparameters.h"
#include "convert/limits.h"
#include "convert/metadata_text.h"
#include "convert/prune.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

constexpr std::uint32_t kQuantizationVersion = 2;  // GGML_QNT_VERSION

void append(Metadata& metadata, const Metadata& more) {
  for (const MetadataEntry& entry : more.entries()) metadata.set(entry.key, entry.value);
}

void add_quantizer_keys(const FileType& file_type, const NamedImportance& importance,
                        Metadata& metadata) {
  metadata.erase("general.quantization_version");
  metadata.set("general.quantization_version", kQuantizationVersion);
  metadata.erase("general.file_type");
  metadata.set("general.file_type", file_type.id);
  if (importance.matrix == nullptr) return;
  append(metadata, importance_metadata(*importance.matrix, importance.file_name));
}

std::uint64_t uint_key(const Metadata& metadata, const std::string& key) {
  const MetadataValue* value = metadata.find(key);
  const auto* number = value == nullptr ? nullptr : std::get_if<std::uint32_t>(value);
  return number == nullptr ? 0 : *number;
}

std::string block_count_key(std::string_view architecture) {
  return std::string(architecture) + ".block_count";
}

// The converter's order; the quantizer takes two keys out and puts them at the
// end.
Metadata file_metadata(const PlanInput& input, const FileType& file_type) {
  Metadata metadata;
  metadata.set("general.architecture", std::string(input.architecture.name));
  add_early_hyperparameters(input.architecture, input.config, metadata);
  append(metadata, input.metadata.general);
  add_hyperparameters(input.architecture, input.config, file_type.id, metadata);
  metadata.set("general.quantization_version", kQuantizationVersion);
  append(metadata, input.metadata.tokenizer);
  if (file_type.rules == TypeRules::Quantizer)
    add_quantizer_keys(file_type, input.importance, metadata);
  return metadata;
}

std::string text_key(const Metadata& metadata, std::string_view key) {
  const MetadataValue* value = metadata.find(key);
  const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return text == nullptr ? std::string() : *text;
}

ModelShape model_shape(std::string_view architecture, const Metadata& metadata) {
  const std::string prefix = std::string(architecture) + ".";
  ModelShape shape{.architecture = architecture};
  shape.blocks = uint_key(metadata, block_count_key(architecture));
  shape.heads = uint_key(metadata, prefix + "attention.head_count");
  shape.heads_kv = uint_key(metadata, prefix + "attention.head_count_kv");
  // The runtime takes the head count where the key is absent.
  if (shape.heads_kv == 0) shape.heads_kv = shape.heads;
  shape.experts = uint_key(metadata, prefix + "expert_count");
  return shape;
}

// The quantizer puts what it changes at the end.
void set_pruned_blocks(const ModelShape& shape, const QuantizerOptions& options,
                       const FileType& file_type, Metadata& metadata) {
  if (options.pruned_layers.empty()) return;
  prune(metadata, shape.architecture, options.pruned_layers, shape.blocks);
  const std::string key = block_count_key(shape.architecture);
  if (file_type.rules == TypeRules::Quantizer) metadata.erase(key);
  metadata.set(key, static_cast<std::uint32_t>(shape.blocks - options.pruned_layers.size()));
}

TypeChoice kept(const DraftTensor& draft) {
  return {*draft.encoded, "block format of the checkpoint"};
}

std::vector<PlannedTensor> converter_tensors(std::vector<DraftTensor> drafts,
                                             quantize::Format target) {
  std::vector<PlannedTensor> tensors;
  for (DraftTensor& draft : drafts) {
    const TypeChoice choice =
        draft.encoded ? kept(draft)
                      : converter_type(draft.name, draft.ne, draft.preferred.value_or(target));
    tensors.push_back({.draft = std::move(draft), .format = choice.format, .rule = choice.rule});
  }
  return tensors;
}

// What the quantizer makes of tensors in a given precision, in its own order.
struct Quantizing {
  const FileType& file_type;
  const ModelShape& shape;
  QuantizerOptions options;
  const NamedImportance& importance;
};

// Weights are looked for only where the quantizer would: at tensors that it quantizes.
void add_importance(const Quantizing& how, PlannedTensor& tensor) {
  const NamedImportance& importance = how.importance;
  // They were measured with all layers.
  const std::string name = name_before_pruning(tensor.draft.name, how.options.pruned_layers);
  std::span<const float> weights;
  if (importance.matrix != nullptr) weights = importance.matrix->find(name);
  const std::vector<std::uint64_t>& ne = tensor.draft.ne;
  const std::uint64_t expected = ne.front() * (ne.size() > 2 ? ne[2] : 1);
  if (!weights.empty() && weights.size() != expected) {
    // Embeddings are looked up, not multiplied: their weights are never of use.
    if (!name.ends_with("token_embd.weight")) {
      fail(ErrorKind::Corrupt, importance.file_name + ": " + name + ": " +
                                   std::to_string(weights.size()) + " weights, expected " +
                                   std::to_string(expected));
    }
    weights = {};
  }
  if (weights.empty() && needs_importance(name, tensor.format, how.file_type)) {
    fail(ErrorKind::Invalid, std::string(how.file_type.name) + ": tensor \"" + name + "\" as " +
                                 std::string(ggml_type(tensor.format).name) +
                                 " needs an importance matrix that covers it (--imatrix)");
  }
  tensor.importance = weights;
}

std::vector<PlannedTensor> quantized(const std::vector<PlannedTensor>& before,
                                     const Quantizing& how) {
  std::vector<std::string_view> names;
  for (const PlannedTensor& tensor : before) names.push_back(tensor.draft.name);
  std::vector<PlannedTensor> tensors;
  std::vector<TypedTensor> typed;
  for (const std::size_t i : quantizer_order(names)) {
    tensors.push_back(before[i]);
    typed.push_back({before[i].draft.name, before[i].draft.ne, before[i].format});
  }
  QuantizerOptions options = how.options;
  options.has_importance = how.importance.matrix != nullptr;
  const std::vector<TypeChoice> choices = quantizer_types(typed, how.file_type, how.shape, options);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TypeChoice choice = tensors[i].draft.encoded ? kept(tensors[i].draft) : choices[i];
    const bool changes = choice.format != tensors[i].format;
    tensors[i].format = choice.format;
    tensors[i].rule = choice.rule;
    tensors[i].scales_finite = changes;
    if (changes) add_importance(how, tensors[i]);
  }
  return tensors;
}

void check_convertible(const Checkpoint& checkpoint, std::span<const PlannedTensor> tensors) {
  for (const PlannedTensor& tensor : tensors) {
    if (!has_kernel(tensor.format)) {
      fail(ErrorKind::Unsupported, "tensor \"" + tensor.draft.name + "\": no kernel for " +
                                       std::string(ggml_type(tensor.format).name));
    }
    for (const TensorView& part : tensor.draft.parts) {
      const SourceTensor& source = checkpoint.tensors[part.source];
      if (source.dtype->numeric || part.packing == Packing::MxBlocks) continue;
      fail(ErrorKind::Unsupported, checkpoint.files[source.file] + ": " + source.name + ".dtype: " +
                                       std::string(source.dtype->name) + " cannot be converted");
    }
  }
}

quantize::Format format_of(const Checkpoint& checkpoint, const DraftTensor& draft) {
  const SourceTensor& source = checkpoint.tensors[draft.parts.front().source];
  return source.blocks ? *source.blocks : quantize::Format{find_ggml_type(source.dtype->name)->id};
}

void check_requantizable(const RequantizeInput& input, std::span<const PlannedTensor> tensors) {
  const Checkpoint& checkpoint = input.source.checkpoint;
  for (const PlannedTensor& tensor : tensors) {
    const quantize::Format before = format_of(checkpoint, tensor.draft);
    if (before == tensor.format) continue;
    const std::string where = checkpoint.files.front() + ": " + tensor.draft.name;
    if (!has_kernel(tensor.format) || !has_kernel(before)) {
      fail(ErrorKind::Unsupported, where + ": no kernel from " +
                                       std::string(ggml_type(before).name) + " to " +
                                       std::string(ggml_type(tensor.format).name));
    }
    if (ggml_type(before).block_values > 1 && !input.allow_requantize) {
      fail(ErrorKind::Invalid, where + ": is " + std::string(ggml_type(before).name) +
                                   " already; quantizing again loses more than quantizing once "
                                   "(--allow-requantize)");
    }
  }
}

std::vector<std::uint64_t> written_shape(const DraftTensor& draft, TypeRules rules) {
  std::vector<std::uint64_t> ne = draft.ne;
  // ggml does not count trailing dimensions of one, so the quantizer does not
  // write them.
  while (rules == TypeRules::Quantizer && ne.size() > 1 && ne.back() == 1) ne.pop_back();
  return ne;
}

// Gives each tensor its file. As gguf-py splits: before the tensor that would
// pass a limit.
std::uint32_t assign_files(Plan& plan, const SplitLimits& limits) {
  std::uint32_t file = 0;
  std::uint64_t tensors = 0, bytes = 0;
  for (PlannedTensor& tensor : plan.tensors) {
    const bool full = (limits.tensors_max != 0 && tensors >= limits.tensors_max) ||
                      (limits.bytes_max != 0 && bytes + tensor.size_bytes > limits.bytes_max);
    if (full && tensors > 0) {
      ++file;
      tensors = bytes = 0;
    }
    ++tensors;
    bytes += tensor.size_bytes;
    tensor.file = file;
  }
  return file + 1;
}

// The first file has all keys; every file of several says which one it is.
Metadata keys_of_file(const Plan& plan, std::uint32_t file, std::uint32_t files) {
  Metadata metadata;
  if (file == 0) metadata = plan.metadata;
  if (files == 1) return metadata;
  metadata.set("split.no", static_cast<std::uint16_t>(file));
  metadata.set("split.count", static_cast<std::uint16_t>(files));
  metadata.set("split.tensors.count", static_cast<std::int32_t>(plan.tensors.size()));
  return metadata;
}

void lay_out_file(Plan& plan, std::uint32_t file, std::uint32_t files) {
  std::vector<GgufTensor> table;
  std::uint64_t offset = 0;
  for (PlannedTensor& tensor : plan.tensors) {
    if (tensor.file != file) continue;
    tensor.offset = offset;
    table.push_back({.name = tensor.draft.name,
                     .ne = written_shape(tensor.draft, plan.file_type->rules),
                     .type = ggml_type(tensor.format).id,
                     .offset = offset});
    offset += aligned(tensor.size_bytes);
  }
  PlannedFile& planned = plan.files[file];
  planned.header = encode_gguf_header(keys_of_file(plan, file, files), table);
  planned.size_bytes = planned.header.size() + offset;
}

void lay_out(Plan& plan, const SplitLimits& limits) {
  for (PlannedTensor& tensor : plan.tensors) {
    const GgmlType& type = ggml_type(tensor.format);
    tensor.size_bytes = tensor.draft.elements() / type.block_values * type.block_bytes;
  }
  const std::uint32_t files = assign_files(plan, limits);
  if (files > kShardsMax) {
    fail(ErrorKind::LimitExceeded,
         "split: " + std::to_string(files) + " files, at most " + std::to_string(kShardsMax));
  }
  plan.files.resize(files);
  for (std::uint32_t file = 0; file < files; ++file) lay_out_file(plan, file, files);
  for (PlannedTensor& tensor : plan.tensors) tensor.offset += plan.files[tensor.file].header.size();
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
  Plan plan{.file_type = &file_type, .metadata = file_metadata(input, file_type)};
  const ModelShape shape = model_shape(input.architecture.name, plan.metadata);
  std::vector<DraftTensor> drafts =
      prune(input.drafts, input.quantizer.pruned_layers, shape.blocks);
  set_pruned_blocks(shape, input.quantizer, file_type, plan.metadata);
  append(plan.metadata, input.metadata.provenance);
  const bool quantizes = file_type.rules == TypeRules::Quantizer;
  // The quantizer reads what the converter writes in the checkpoint's own precision.
  plan.tensors = converter_tensors(
      std::move(drafts), quantizes ? own_precision(input.checkpoint).format : file_type.format);
  if (quantizes) {
    plan.tensors = quantized(plan.tensors, {.file_type = file_type,
                                            .shape = shape,
                                            .options = input.quantizer,
                                            .importance = input.importance});
  }
  check_convertible(input.checkpoint, plan.tensors);
  lay_out(plan, input.split);
  return plan;
}

Plan make_plan(const RequantizeInput& input, const FileType& file_type) {
  Plan plan{.file_type = &file_type, .metadata = input.source.metadata};
  add_quantizer_keys(file_type, input.importance, plan.metadata);
  const std::string architecture = text_key(plan.metadata, "general.architecture");
  const ModelShape shape = model_shape(architecture, plan.metadata);
  set_pruned_blocks(shape, input.quantizer, file_type, plan.metadata);
  append(plan.metadata, input.provenance);
  std::vector<PlannedTensor> before;
  for (DraftTensor& draft :
       prune(input.source.drafts, input.quantizer.pruned_layers, shape.blocks)) {
    const quantize::Format format = format_of(input.source.checkpoint, draft);
    before.push_back({.draft = std::move(draft), .format = format});
  }
  plan.tensors = quantized(before, {.file_type = file_type,
                                    .shape = shape,
                                    .options = input.quantizer,
                                    .importance = input.importance});
  check_requantizable(input, plan.tensors);
  lay_out(plan, input.split);
  return plan;
}

std::uint64_t Plan::size_bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const PlannedFile& file : files) sum += file.size_bytes;
  return sum;
}

std::string split_name(const std::string& path, std::size_t index, std::size_t count) {
  if (count == 1) return path;
  constexpr std::string_view kEnding = ".gguf";
  const std::string stem =
      path.ends_with(kEnding) ? path.substr(0, path.size() - kEnding.size()) : path;
  std::array<char, 32> suffix{};
  std::snprintf(suffix.data(), suffix.size(), "-%05zu-of-%05zu", index + 1, count);
  return stem + suffix.data() + std::string(kEnding);
}

std::string to_text(const Plan& plan, const Checkpoint& checkpoint) {
  std::string text = "type " + std::string(plan.file_type->name) + "\n";
  for (const PlannedFile& file : plan.files) {
    text += "file " + std::to_string(file.size_bytes) + " header " +
            std::to_string(file.header.size()) + "\n";
  }
  for (const MetadataEntry& entry : plan.metadata.entries()) {
    text += "key " + entry.key + " " + to_text(entry.value) + "\n";
  }
  for (const PlannedTensor& tensor : plan.tensors) {
    text += "tensor " + tensor.draft.name + " " + std::string(ggml_type(tensor.format).name) + " " +
            shape_text(tensor.draft.ne) + " at " +
            (tensor.file == 0 ? "" : std::to_string(tensor.file) + ":") +
            std::to_string(tensor.offset) + " bytes " + std::to_string(tensor.size_bytes) + " (" +
            std::string(tensor.rule) + ") from " + source_text(tensor, checkpoint) + "\n";
  }
  return text;
}

}  // namespace holdfast::convert
