#include "convert/slab.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "convert/ggml_type.h"
#include "storage/base/error.h"

namespace holdfast::convert {
namespace {

using quantize::Format;
using quantize::SourceType;

// Source bytes of a slab, unless a single unit has more. A slab is read, encoded, hashed three
// times and written: small enough that all of that finds it in a core's own cache.
constexpr std::uint64_t kSlabBytes = 512ULL << 10;

const SourceTensor& source_of(const TensorView& view, const Checkpoint& checkpoint) {
  return checkpoint.tensors[view.source];
}

// Units per slab. A one-dimensional tensor is never cut: its row is the whole
// of it.
std::uint64_t units_per_slab(const TensorView& view, const DraftTensor& draft,
                             std::uint64_t bytes_each) {
  const ElementRun unit = run_of(units(view, 0, std::min<std::uint64_t>(1, view.rows[0].count)));
  // Nor is one whose units lie in each other (a transposed matrix): each slab
  // would read it all.
  const bool overlapping = view.rows[0].count > 1 && unit.count > view.rows[0].stride;
  if (draft.ne.size() <= 1 || overlapping) return std::max<std::uint64_t>(1, view.rows[0].count);
  const std::uint64_t unit_bytes = unit.count * bytes_each;
  return std::max<std::uint64_t>(1, kSlabBytes / std::max<std::uint64_t>(1, unit_bytes));
}

void cut_part(std::vector<Slab>& slabs, const PlannedTensor& tensor, const Checkpoint& checkpoint,
              Slab next) {
  const TensorView& view = tensor.draft.parts[next.part];
  const std::uint64_t step = units_per_slab(view, tensor.draft, element_bytes(view, checkpoint));
  const std::uint64_t unit_values =
      view.rows_per_unit() * view.columns.count * view.element_values();
  for (std::uint64_t unit = 0; unit < view.rows[0].count; unit += step) {
    next.unit_begin = unit;
    next.unit_end = std::min(unit + step, view.rows[0].count);
    next.elements = (next.unit_end - unit) * unit_values;
    slabs.push_back(next);
    next.first_element += next.elements;
  }
}

// `first` to `last` are elements of the slab.
[[noreturn]] void fail_elements(const Slab& slab, const PlannedTensor& tensor,
                                const Checkpoint& checkpoint, std::uint64_t first,
                                std::uint64_t last, const std::string& what) {
  const auto number = [&](std::uint64_t i) { return std::to_string(slab.first_element + i); };
  std::string where;
  if (!tensor.draft.parts.empty()) {
    const SourceTensor& source = source_of(tensor.draft.parts[slab.part], checkpoint);
    where = checkpoint.files[source.file] + ": " + source.name + ": ";
  }
  fail(ErrorKind::Corrupt,
       where +
           (first == last ? "element " + number(first)
                          : "elements " + number(first) + " to " + number(last)) +
           " of " + tensor.draft.name + ": " + what);
}

[[noreturn]] void fail_value(const Slab& slab, const PlannedTensor& tensor,
                             const Checkpoint& checkpoint, std::uint64_t element, float value) {
  fail_elements(slab, tensor, checkpoint, element, element,
                "expected a finite number, found " + std::to_string(value));
}

// `blocks` begin at an element of the slab.
void check_scales(const Slab& slab, const PlannedTensor& tensor, const Checkpoint& checkpoint,
                  std::uint64_t element, std::span<const std::byte> blocks) {
  const auto overflow = quantize::first_overflow(tensor.format, blocks);
  if (!overflow) return;
  const GgmlType& type = ggml_type(tensor.format);
  const std::uint64_t first = element + *overflow * type.block_values;
  fail_elements(
      slab, tensor, checkpoint, first, first + type.block_values - 1,
      "expected what " + std::string(type.name) + " can hold, found what is no finite number");
}

// Every value as float32. Exact for all types but F64.
Bytes to_float32(const ViewValues& values, std::uint64_t elements) {
  Bytes floats(elements * sizeof(float));
  quantize::encode_rows(Format::F32, values.type, values.bytes, 1, elements, {}, floats, nullptr);
  return floats;
}

ViewValues decoded(const ViewValues& values, std::uint64_t elements) {
  ViewValues floats{.bytes = Bytes(elements * sizeof(float))};
  std::vector<float> numbers(elements);
  quantize::decode_rows(*values.encoded, values.bytes, numbers);
  std::memcpy(floats.bytes.data(), numbers.data(), floats.bytes.size());
  return floats;
}

// 1 + x in the source's own precision where that is what the peer computes
// with: it widens all types but F16 to float32 first.
ViewValues add_one(const ViewValues& values, std::uint64_t elements) {
  ViewValues result{.bytes = to_float32(values, elements), .type = SourceType::F32};
  for (std::uint64_t i = 0; i < elements; ++i) {
    float value;
    std::memcpy(&value, result.bytes.data() + i * sizeof(float), sizeof(float));
    value += 1.0F;
    std::memcpy(result.bytes.data() + i * sizeof(float), &value, sizeof(float));
  }
  if (values.type != SourceType::F16) return result;
  ViewValues half{.bytes = Bytes(elements * 2), .type = SourceType::F16};
  quantize::encode_rows(Format::F16, SourceType::F32, result.bytes, 1, elements, {}, half.bytes,
                        nullptr);
  return half;
}

ViewValues apply(ValueOp op, ViewValues values, std::uint64_t elements) {
  if (op != ValueOp::AddOne) return values;
  ViewValues result = add_one(values, elements);
  result.run = std::move(values.run.empty() ? values.bytes : values.run);
  return result;
}

// Consecutive rows of a slab that share their importance weights: those of one
// expert.
struct Rows {
  std::uint64_t first = 0, count = 0;  // within the slab
  std::span<const float> importance;
};

std::vector<Rows> rows_by_importance(const Slab& slab, const PlannedTensor& tensor,
                                     std::uint64_t row_values) {
  const std::uint64_t rows = slab.elements / row_values;
  if (tensor.importance.empty()) return {{.count = rows}};
  const std::uint64_t rows_per_expert = tensor.draft.ne[1];
  std::vector<Rows> runs;
  for (std::uint64_t row = slab.first_element / row_values, end = row + rows, first = row;
       row < end;) {
    const std::uint64_t expert = row / rows_per_expert;
    const std::uint64_t stop = std::min(end, (expert + 1) * rows_per_expert);
    runs.push_back({.first = row - first,
                    .count = stop - row,
                    .importance = tensor.importance.subspan(expert * row_values, row_values)});
    row = stop;
  }
  return runs;
}

void encode_rows_of(const Slab& slab, const PlannedTensor& tensor, const Checkpoint& checkpoint,
                    const ViewValues& values, std::uint64_t row_values, const Rows& rows,
                    bool measured, Encoded& encoded) {
  const std::uint64_t first = rows.first * row_values;
  const std::uint64_t in = row_values * quantize::source_bytes(values.type);
  const GgmlType& type = ggml_type(tensor.format);
  const std::uint64_t out = row_values / type.block_values * type.block_bytes;
  const std::span<std::byte> target =
      std::span(encoded.bytes).subspan(rows.first * out, rows.count * out);
  try {
    quantize::encode_rows(tensor.format, values.type,
                          std::span(values.bytes).subspan(rows.first * in, rows.count * in),
                          rows.count, row_values, rows.importance, target,
                          measured ? &encoded.sums : nullptr);
  } catch (const quantize::ValueError& error) {
    fail_value(slab, tensor, checkpoint, first + error.index(), error.value());
  }
  if (tensor.scales_finite) check_scales(slab, tensor, checkpoint, first, target);
}

}  // namespace

TensorView view_of(const Slab& slab, const PlannedTensor& tensor) {
  return units(tensor.draft.parts[slab.part], slab.unit_begin, slab.unit_end);
}

std::vector<Slab> cut(std::span<const PlannedTensor> tensors, const Checkpoint& checkpoint) {
  std::vector<Slab> slabs;
  for (std::uint32_t i = 0; i < tensors.size(); ++i) {
    const PlannedTensor& tensor = tensors[i];
    const std::size_t before = slabs.size();
    Slab next{.tensor = i};
    for (next.part = 0; next.part < tensor.draft.parts.size(); ++next.part) {
      cut_part(slabs, tensor, checkpoint, next);
      next.first_element += tensor.draft.parts[next.part].values();
    }
    if (slabs.size() == before) {
      // Generated, or without elements: one slab, so that every tensor is seen
      // to be finished.
      next.part = 0;
      next.elements = tensor.draft.parts.empty() ? tensor.draft.values.size() : 0;
      slabs.push_back(next);
    }
    slabs.back().last = true;
  }
  return slabs;
}

std::uint64_t memory_bytes(const Slab& slab, const PlannedTensor& tensor,
                           const Checkpoint& checkpoint, std::span<const Format> formats) {
  std::uint64_t bytes = 0;
  for (const Format format : formats) {
    const GgmlType& type = ggml_type(format);
    bytes += slab.elements / type.block_values * type.block_bytes;
  }
  if (tensor.draft.parts.empty()) return bytes + slab.elements * sizeof(float);
  const TensorView view = view_of(slab, tensor);
  bytes += read_memory_bytes(view, checkpoint);
  if (tensor.draft.op != ValueOp::None) bytes += slab.elements * 2 * sizeof(float);
  return bytes;
}

ViewValues read_slab(const Slab& slab, const PlannedTensor& tensor, const Source& source) {
  ViewValues values;
  if (tensor.draft.parts.empty()) {
    const auto bytes = std::as_bytes(std::span(tensor.draft.values));
    values.bytes.assign(bytes.begin(), bytes.end());
    return values;
  }
  const TensorView view = view_of(slab, tensor);
  try {
    return apply(tensor.draft.op, read_view(view, source), slab.elements);
  } catch (const quantize::ValueError& error) {
    fail_value(slab, tensor, source.checkpoint, error.index(), error.value());
  }
}

Encoded encode_slab(const Slab& slab, const PlannedTensor& target, const ViewValues& values,
                    const Source& source, bool measured) {
  if (values.encoded) {
    if (*values.encoded == target.format) {
      // Whatever the plan asks for: what is not finite here was damaged before it came.
      if (has_kernel(target.format)) check_scales(slab, target, source.checkpoint, 0, values.bytes);
      return {.bytes = values.bytes, .sums = {}};
    }
    return encode_slab(slab, target, decoded(values, slab.elements), source, measured);
  }
  const GgmlType& type = ggml_type(target.format);
  const std::uint64_t row = target.draft.ne.empty() ? 1 : target.draft.ne.front();
  // Parts of a one-dimensional tensor are shorter than its row; its formats
  // have no blocks.
  const bool whole_rows = row != 0 && slab.elements % row == 0;
  assert(whole_rows || type.block_values == 1);
  const std::uint64_t row_values = whole_rows ? row : slab.elements;
  Encoded encoded;
  encoded.bytes = source.pool.take(slab.elements / type.block_values * type.block_bytes);
  if (slab.elements == 0) return encoded;
  for (const Rows& rows : rows_by_importance(slab, target, row_values)) {
    encode_rows_of(slab, target, source.checkpoint, values, row_values, rows, measured, encoded);
  }
  return encoded;
}

}  // namespace holdfast::convert
